"""Runs as LaminDB records them: which are finished, which failed, which were left behind by a kill."""

from __future__ import annotations

import platform
import socket
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from enum import IntEnum
from pathlib import Path
from typing import Any

import lamindb as ln

from perturbench_lamin.lineage import keys, reports, sources

FINGERPRINT = "perturbench-step"
PYTHON = "python"
"""In a run's extra data: the version of Python, which LaminDB's list of packages lacks."""
CODE = "code"
"""In a run's extra data: its record of the code."""


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
    run.extra_data = _origin(folder)
    return run.save()


def close(run: ln.Run, status: Status) -> None:
    """Give a run its final status and time."""
    run._status_code = int(status)
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


def abort_left_behind(folder: Path) -> int:
    """Settle runs that a kill left behind, by chains of this machine and folder; return how many were aborted.

    A run that was started is aborted, with what is left of its source. One that its notebook finished, killed before
    its report was attached, gets the report now; where that cannot be made any more it counts as aborted, too: no run
    is completed without source, environment and report. Call it only while holding the folder's lock: then no such
    chain is alive.
    """
    where = {f"extra_data__{name}": value for name, value in _origin(folder).items()}
    ours = ln.Run.objects.filter(transform__key=keys.CHAIN_TRANSFORM, **where)
    alive = list(ours.filter(_status_code__in=OPEN))
    left = [(run, chain) for chain in alive for run in ln.Run.filter(initiated_by_run=chain, _status_code__in=OPEN)]
    for run, chain in left:
        told = chain.extra_data
        _take_code(run, told)
        sources.keep(run, Path(told.get("executed", "")), Path(told.get("cache", "")))
    unfinished = [run for run in _incomplete(ours) if not _complete(run, alive)]
    for run in [*(run for run, _ in left), *unfinished, *alive]:
        close(run, Status.ABORTED)
    return len(left) + len(unfinished)


def _incomplete(chains: Any) -> list[ln.Run]:
    """Notebooks' runs of some chains that count as completed and lack something that a completed run has."""
    lacking = ln.Q(report=None) | ln.Q(environment=None) | ln.Q(transform__source_code=None)
    done = {"_status_code": int(Status.COMPLETED), "transform__kind": "notebook"}
    return list(ln.Run.objects.filter(lacking, initiated_by_run__in=chains, **done))


def is_whole(run: ln.Run) -> bool:
    """Whether a notebook's run has its source, its environment and its report."""
    is_notebook = run.transform.kind == "notebook"
    return not is_notebook or bool(run.transform.source_code and run.environment_id and run.report_id)


def _complete(run: ln.Run, alive: Sequence[ln.Run]) -> bool:
    """Give a run that its notebook finished what it lacks; return whether it is whole then.

    The executed notebook is this run's only where its chain came no further, and no later chain wrote there.
    """
    chain = next((chain for chain in alive if chain.pk == run.initiated_by_run_id), None)
    newest = child_of(chain) if chain else None
    if chain is None or newest is None or newest.pk != run.pk:
        return False
    told = chain.extra_data
    executed = Path(told.get("executed", ""))
    _take_code(run, told)
    sources.keep(run, executed, Path(told.get("cache", "")))
    if run.report is None and executed.is_file():
        try:
            reports.attach(run, reports.render(executed))
        except ValueError:  # cut off in the middle of being written
            return False
    return is_whole(run)


def _take_code(run: ln.Run, told: Mapping[str, Any]) -> None:
    """Move what a chain noted of the code that it was about to run to the run itself."""
    if CODE in told and CODE not in (run.extra_data or {}):
        run.extra_data = {**(run.extra_data or {}), CODE: told[CODE]}
        run.save()


def announce(chain: ln.Run, executed: Path, cache: Path, code: Mapping[str, Any]) -> None:
    """Note which notebook a chain is about to execute, with which code, so that this is kept whatever happens."""
    chain.extra_data = {**chain.extra_data, "executed": str(executed), "cache": str(cache), CODE: dict(code)}
    chain.save()


def note_code(run: ln.Run, code: Mapping[str, Any]) -> None:
    """Note on a run the code that it ran, see :class:`~perturbench_lamin.lineage.code.CodeRecord`."""
    run.extra_data = {**(run.extra_data or {}), CODE: dict(code)}
    run.save()


def _origin(folder: Path) -> dict[str, str]:
    return {"host": socket.gethostname(), "folder": str(folder)}
