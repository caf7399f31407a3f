"""Whether an artifact's file is still what was registered."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import lamindb as ln
from lamindb_setup.core.hashing import hash_file

from perturbench_lamin.files import sha256
from perturbench_lamin.lineage.copies import local_copy
from perturbench_lamin.lineage.features import plain_values

Trouble = Literal["", "gone", "altered"]


def trouble_of(artifact: ln.Artifact, *, download: bool = True) -> Trouble:
    """What is wrong with an artifact's file: by LaminDB's hash, and by SHA-256 where that was recorded too.

    Args:
        artifact: a saved artifact.
        download: get a file that lies in the cloud and look at its content; else only whether it is there.
    """
    if not artifact.path.exists():
        return "gone"
    if not isinstance(artifact.path, Path) and not download:
        return ""
    path = local_copy(artifact)
    if artifact.hash and hash_file(path)[1] != artifact.hash:
        return "altered"
    recorded = plain_values(artifact).get("sha256")
    return "" if recorded is None or sha256(path) == recorded else "altered"
