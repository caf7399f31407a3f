"""Runs as LaminDB records them: which are finished, which failed, which were left behind by a kill."""

from __future__ import annotations

import platform
import socket
from collections.abc import Mapping
from datetime import UTC, datetime
from enum import IntEnum
from pathlib import Path
from typing import Any

import lamindb as ln

from perturbench_lamin.lineage import keys, sources

FINGERPRINT = "perturbench-step"
PYTHON = "python"
"""In a run's extra data: the version of Python, which LaminDB's list of packages lacks."""

PROBLEM = "problem"
"""In the extra data of a run that failed: why, in a line."""


class Status(IntEnum):
    """LaminDB's status codes of a run."""

    RESTARTED = -2
    STARTED = -1
    COMPLETED = 0
    ERRORED = 1
    ABORTED = 2


def start_chain_run(name: str, params: Mapping[str, Any], folder: Path) -> ln.Run:
    """The run of a whole chain, the parent of its notebooks' runs."""
    transform = ln.Transform.filter(key=keys.CHAIN_TRANSFORM).first() or ln.Transform(
        key=keys.CHAIN_TRANSFORM, kind="pipeline", description="A chain of notebooks, from raw files to a leaderboard"
    )
    run = ln.Run(transform.save(), name=name, status="started", params=dict(params))
    run.extra_data = _origin(folder)
    return run.save()


def close(run: ln.Run, status: Status, problem: str = "") -> None:
    """Give a run its final status and time, and note why it failed."""
    run._status_code = int(status)
    if problem:
        run.extra_data = {**(run.extra_data or {}), PROBLEM: problem}
    run.finished_at = run.finished_at or datetime.now(UTC)
    run.save()


def remember(run: ln.Run, fingerprint: str) -> None:
    """Note on a completed run what it was made from, so that the same step need not run again."""
    run.reference, run.reference_type = fingerprint, FINGERPRINT
    run.extra_data = {**(run.extra_data or {}), PYTHON: platform.python_version()}
    run.save()


def completed(fingerprint: str) -> ln.Run | None:
    """The latest completed run of that fingerprint."""
    return (
        ln.Run.filter(reference=fingerprint, reference_type=FINGERPRINT, _status_code=int(Status.COMPLETED))
        .order_by("-id")
        .first()
    )


def child_of(chain: ln.Run) -> ln.Run | None:
    """The newest run that a chain's run initiated."""
    return ln.Run.filter(initiated_by_run=chain).order_by("-id").first()


def outputs(run: ln.Run) -> dict[str, ln.Artifact]:
    """What a run made or re-created, by key."""
    made = [*run.output_artifacts.all(), *run.recreated_artifacts.all()]
    return {artifact.key: artifact for artifact in made if artifact.key}


def abort_left_behind(folder: Path) -> int:
    """Mark runs that a kill left as started, by chains of this machine and folder; return how many.

    Call it only while holding the folder's lock: then no such chain is alive.
    """
    open_codes = [int(Status.STARTED), int(Status.RESTARTED)]
    chains = ln.Run.filter(transform__key=keys.CHAIN_TRANSFORM, _status_code__in=open_codes)
    ours = [chain for chain in chains if _origin(folder).items() <= (chain.extra_data or {}).items()]
    left = [
        (child, chain.extra_data)
        for chain in ours
        for child in ln.Run.filter(initiated_by_run=chain, _status_code__in=open_codes)
    ]
    for run, told in left:
        sources.keep(run, Path(told.get("executed", "")), Path(told.get("cache", "")))
    for run in [*(run for run, _ in left), *ours]:
        close(run, Status.ABORTED)
    return len(left)


def announce(chain: ln.Run, executed: Path, cache: Path) -> None:
    """Note which notebook a chain is about to execute, so that its source can be kept whatever happens."""
    chain.extra_data = {**chain.extra_data, "executed": str(executed), "cache": str(cache)}
    chain.save()


def _origin(folder: Path) -> dict[str, str]:
    return {"host": socket.gethostname(), "folder": str(folder)}
