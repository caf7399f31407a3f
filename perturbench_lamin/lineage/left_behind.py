"""Runs that a kill left behind: what is left of them is kept, and none counts as completed that is not whole."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import lamindb as ln

from perturbench_lamin.lineage import keys, reports, sources
from perturbench_lamin.lineage.runs import CODE, OPEN, Status, child_of, close, is_whole, origin


def settle(folder: Path) -> int:
    """Settle runs that a kill left behind, by chains of this machine and folder; return how many were aborted.

    A run that was started is aborted, with what is left of its source. One that its notebook finished, killed before
    its report was attached, gets the report now; where that cannot be made any more it counts as aborted, too: no run
    is completed without source, environment and report. Call it only while holding the folder's lock: then no such
    chain is alive.
    """
    where = {f"extra_data__{name}": value for name, value in origin(folder).items()}
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
