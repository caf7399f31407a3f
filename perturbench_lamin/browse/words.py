"""Numbers, times and names as a reader sees them; and where the pages lie."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from perturbench_lamin.browse.snapshot import ArtifactRecord, RunRecord, TransformRecord

SIZES = ("B", "kB", "MB", "GB", "TB")
TROUBLE = {"errored": "failed", "aborted": "aborted", "started": "not finished", "restarted": "not finished"}
"""Words of LaminDB that a reader should stumble over."""


def size(n_bytes: int | None) -> str:
    """Bytes as ``5.9 MB``; empty where they are not known."""
    if n_bytes is None:
        return ""
    number, unit = float(n_bytes), 0
    while number >= 1000 and unit < len(SIZES) - 1:
        number, unit = number / 1000, unit + 1
    return f"{number:.0f} {SIZES[unit]}" if unit == 0 or number >= 100 else f"{number:.1f} {SIZES[unit]}"


def moment(time: datetime | None) -> str:
    """A time to the minute, in UTC."""
    return f"{time:%Y-%m-%d %H:%M} UTC" if time else ""


def duration(seconds: float | None) -> str:
    """How long something took."""
    if seconds is None:
        return "did not end"
    if seconds < 90:
        return f"{seconds:.0f} s" if seconds >= 10 else f"{seconds:.1f} s"
    minutes, hours = seconds / 60, seconds / 3600
    return f"{minutes:.0f} min" if minutes < 90 else f"{hours:.1f} h"


def value(thing: Any) -> str:
    """A parameter or feature."""
    if isinstance(thing, bool):
        return "yes" if thing else "no"
    if isinstance(thing, int):
        return f"{thing:,}" if abs(thing) >= 10_000 else str(thing)
    if isinstance(thing, float):
        return f"{thing:.6g}"
    return thing if isinstance(thing, str) else json.dumps(thing, ensure_ascii=False, sort_keys=True)


def status(run: RunRecord) -> str:
    """How a run ended."""
    return TROUBLE.get(run.status, run.status)


def status_class(run: RunRecord) -> str:
    """The style of a run's status: ``good``, ``bad`` or ``open``."""
    if run.status == "completed":
        return "good"
    return "bad" if run.status in ("errored", "aborted") else "open"


def run_title(run: RunRecord, transform: TransformRecord | None, about: Mapping[str, str]) -> str:
    """The notebook's name with the dataset, task, model and seed, where it has them.

    Args:
        run: the run.
        transform: what it ran.
        about: ``dataset``, ``task``, ``model`` and ``seed``, as far as they are known.
    """
    told = [about.get(one, "") for one in ("dataset", "task", "model")]
    seed = f"seed {about['seed']}" if about.get("seed") else ""
    known = [word for word in (*told, seed) if word]
    return " ".join([transform_name(transform), *(known or ([run.name] if run.name else []))])


def transform_name(transform: TransformRecord | None) -> str:
    """The name of a notebook, without its folder."""
    return (transform.key.rsplit("/", 1)[-1].removesuffix(".ipynb") or "unnamed") if transform else "no transform"


ERROR_LINE = re.compile(r"(?m)^\s*((?:[A-Za-z_][\w.]*\.)?[A-Z]\w*(?:Error|Exception|Interrupt|Exit)\b(?::[^\n]*)?)$")


def error_in(page: str) -> str:
    """The last line of an error in an executed notebook's page; empty where there is none."""
    found = ERROR_LINE.findall(html.unescape(re.sub(r"<[^>]+>", "", page)))
    return found[-1].strip() if found else ""


def artifact_title(artifact: ArtifactRecord) -> str:
    """Its key, or what stands for one."""
    return artifact.key or artifact.description or f"artifact {artifact.uid}"


def registry_title(registry: str) -> str:
    """A registry's name in the plural, in words: ``GeneticPerturbation`` is ``Genetic perturbations``."""
    if registry == "ULabel":
        return "Labels"
    spaced = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", registry).capitalize()
    return f"{spaced[:-1]}ies" if spaced.endswith("y") else f"{spaced}s"
