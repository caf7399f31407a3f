"""What a checkpoint says of data that are plain files: names and checksums."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from perturbench_lamin.files import sha256

WORDS = {"curated": "curated file", "split": "split"}


def file_provenance(curated: Path, split: Path | None = None) -> dict[str, str]:
    """Names and SHA-256 checksums of a curated file and a split, without their folders: they may be moved."""
    told = {"curated_file": curated.name, "curated_sha256": sha256(curated)}
    return told if split is None else told | {"split_file": split.name, "split_sha256": sha256(split)}


def differences(trained_on: Mapping[str, str], given: Mapping[str, str]) -> list[str]:
    """Sentences on what a checkpoint was trained on and what is given, where both are known and differ."""
    return [
        f"The model was trained on another {WORDS[what]}: {trained_on.get(f'{what}_file', 'unknown')}, "
        f"SHA-256 {trained_on[f'{what}_sha256'][:12]}…"
        for what in WORDS
        if f"{what}_sha256" in trained_on
        and f"{what}_sha256" in given
        and trained_on[f"{what}_sha256"] != given[f"{what}_sha256"]
    ]
