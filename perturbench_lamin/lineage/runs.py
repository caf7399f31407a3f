"""Runs as LaminDB records them: how they end, what they made, what is noted on them."""

from __future__ import annotations

import platform
import socket
from collections.abc import Mapping
from datetime import UTC, datetime
from enum import IntEnum
from pathlib import Path
from typing import Any

import lamindb as ln

from perturbench_lamin.lineage import keys

FINGERPRINT = "perturbench-step"
PYTHON = "python"
"""In a run's extra data: the version of Python, which LaminDB's list of packages lacks."""
CODE = "code"
"""In a run's extra data: its record of the code."""

PROBLEM = "problem"
"""In the extra data of a run that failed: why, in a line."""


class Status(IntEnum):
    """LaminDB's status codes of a run."""

    RESTARTED = -2
    STARTED = -1
    COMPLETED = 0
    ERRORED = 1
    ABORTED = 2


OPEN = (int(Status.STARTED), int(Status.RESTARTED))


def start_chain_run(name: str, params: Mapping[str, Any], folder: Path) -> ln.Run:
    """The run of a whole chain, the parent of its notebooks' runs."""
    transform = ln.Transform.filter(key=keys.CHAIN_TRANSFORM).first() or ln.Transform(
        key=keys.CHAIN_TRANSFORM, kind="pipeline", description="A chain of notebooks, from raw files to a leaderboard"
    )
    run = ln.Run(transform.save(), name=name, status="started", params=dict(params))
    run.extra_data = origin(folder)
    return run.save()


def close(run: ln.Run, status: Status, problem: str = "") -> None:
    """Give a run its final status and time, and note why it failed."""
    run._status_code = int(status)
    if problem:
        run.extra_data = {**(run.extra_data or {}), PROBLEM: problem}
    run.finished_at = run.finished_at or datetime.now(UTC)
    run.save()


def remember(run: ln.Run, fingerprint: str = "") -> None:
    """Note on a completed run what it was made from: the same step need not run again. In doubt nothing is noted."""
    if fingerprint:
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


def is_whole(run: ln.Run) -> bool:
    """Whether a notebook's run has its source, its environment and its report."""
    is_notebook = run.transform.kind == "notebook"
    return not is_notebook or bool(run.transform.source_code and run.environment_id and run.report_id)


def announce(chain: ln.Run, executed: Path, cache: Path, code: Mapping[str, Any]) -> None:
    """Note which notebook a chain is about to execute, with which code, so that this is kept whatever happens."""
    chain.extra_data = {**chain.extra_data, "executed": str(executed), "cache": str(cache), CODE: dict(code)}
    chain.save()


def note_code(run: ln.Run, code: Mapping[str, Any]) -> None:
    """Note on a run the code that it ran, see :class:`~perturbench_lamin.lineage.code.CodeRecord`."""
    run.extra_data = {**(run.extra_data or {}), CODE: dict(code)}
    run.save()


def origin(folder: Path) -> dict[str, str]:
    """In a chain's extra data: the machine and folder that it runs on."""
    return {"host": socket.gethostname(), "folder": str(folder)}
