"""Run the steps of a chain, each once: what the lineage says is made already is not made again."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from perturbench_lamin.chain.step import Output, Step, fingerprint, in_order, require_parameters
from perturbench_lamin.errors import ChainError, some
from perturbench_lamin.lineage.instance import Instance

if TYPE_CHECKING:
    import lamindb as ln

State = Literal["kept", "done", "failed", "skipped"]


@dataclass(frozen=True)
class StepResult:
    """How a step ended.

    Attributes:
        step: the step.
        state: ``kept`` (the lineage had it), ``done``, ``failed``, or ``skipped`` (a step it needs failed).
        run: uid of its run in LaminDB; empty where there is none.
        outputs: key → uid of what it made.
        seconds: how long it took.
        problem: what went wrong, for people.
        report: the executed notebook as a page; None where nothing was executed.
    """

    step: Step
    state: State
    run: str = ""
    outputs: Mapping[str, str] = field(default_factory=dict)
    seconds: float = 0.0
    problem: str = ""
    report: Path | None = None


Reporter = Callable[[int, int, "Step | StepResult"], None]
"""Told of every step as it starts and as it ends: its place, how many there are, the step or its result."""


@dataclass(frozen=True)
class Chain:
    """The steps of a chain and where they run.

    Attributes:
        name: what it is about, such as the dataset; names its working folder.
        steps: in any order.
        instance: the LaminDB instance, whose folder's lock the caller holds.
        notebooks: the folder that ``Step.notebook`` is relative to.
        handle: the lock's file handle.
    """

    name: str
    steps: Sequence[Step]
    instance: Instance
    notebooks: Path
    handle: int


def run_chain(
    chain: Chain, *, force: Collection[str] = (), report: Reporter = lambda *_: None, progress: bool = False
) -> list[StepResult]:
    """Run every step whose source, parameters or inputs have no completed run yet, in order.

    A step that fails stops those that need it; the others go on.

    Args:
        chain: the steps and where they run.
        force: names of steps to run again although the lineage has them.
        report: told of every step.
        progress: show a bar over the cells of each notebook.

    Returns:
        One result a step, in the order they ran.
    """
    steps = in_order(chain.steps)
    for step in steps:
        require_parameters(step, chain.notebooks / step.notebook)
    chain.instance.connect()
    import lamindb as ln

    from perturbench_lamin.lineage import features, project, runs

    ln.settings.verbosity = "error"
    runs.abort_left_behind(chain.instance.folder)
    features.save_features()
    project.save_project()
    results: dict[str, StepResult] = {}
    parent: ln.Run | None = None
    try:
        for place, step in enumerate(steps, start=1):
            result = _kept(chain, step, results, force)
            if result is None:
                parent = parent or runs.start_chain_run(chain.name, _told(chain), chain.instance.folder)
                report(place, len(steps), step)
                result = _execute(chain, step, results, parent, progress)
            results[step.name] = result
            report(place, len(steps), result)
    except BaseException:
        if parent is not None:
            runs.abort_left_behind(chain.instance.folder)
        raise
    if parent is not None:
        failed = any(result.state == "failed" for result in results.values())
        runs.close(parent, runs.Status.ERRORED if failed else runs.Status.COMPLETED)
    return list(results.values())


def _kept(chain: Chain, step: Step, results: Mapping[str, StepResult], force: Collection[str]) -> StepResult | None:
    """The result of a step that need not or cannot run, or None."""
    from perturbench_lamin.lineage import runs

    missing = sorted(name for name in step.needs() if results[name].state in ("failed", "skipped"))
    if missing:
        return StepResult(step, "skipped", problem=f"needs {some(missing, 2)}")
    if step.name in force:
        return None
    run = runs.completed(fingerprint(step, chain.notebooks / step.notebook, _parameters(step, results)))
    made = runs.outputs(run) if run else {}
    if run is None or _absent(step, made) or not all(artifact.path.exists() for artifact in made.values()):
        return None
    return StepResult(step, "kept", run.uid, {key: artifact.uid for key, artifact in made.items()})


def _execute(chain: Chain, step: Step, results: Mapping[str, StepResult], parent: ln.Run, progress: bool) -> StepResult:
    from papermill.exceptions import PapermillExecutionError

    from perturbench_lamin.chain import engine
    from perturbench_lamin.lineage import reports, runs, sources

    started = time.monotonic()
    notebook, parameters = chain.notebooks / step.notebook, _parameters(step, results)
    mark = fingerprint(step, notebook, parameters)
    folder = chain.instance.work / _file_name(chain.name) / _file_name(step.name)
    executed, cache, problem = folder / notebook.name, folder / "cache", ""
    variables = {
        **chain.instance.variables(),
        "LAMIN_INITIATED_BY_RUN_UID": parent.uid,
        "LAMIN_CACHE_DIR": str(cache),
    }
    runs.announce(parent, executed, cache)
    before = runs.child_of(parent)
    settings = {**step.settings, "work_folder": str(folder)}
    try:
        engine.execute(
            notebook,
            executed,
            {**parameters, **settings},
            variables=variables,
            handles=(chain.handle,),
            progress=progress,
        )
    except PapermillExecutionError as error:
        problem = engine.cell_error(error)
    except Exception as error:  # such as a kernel that died for lack of memory: the step failed, others may go on
        problem = f"{type(error).__name__}: {error} (the kernel's own words: {engine.kernel_log(executed)})"
    run = runs.child_of(parent)
    run = None if run is None or (before is not None and run.id == before.id) else run
    page = reports.render(executed)
    if run is not None and problem:
        sources.keep(run, executed, cache)
    if run is None:
        problem = problem or "The notebook ended without a tracked run"
        return StepResult(step, "failed", seconds=time.monotonic() - started, problem=problem, report=page)
    return _conclude(step, run, mark, page, problem, time.monotonic() - started)


def _conclude(step: Step, run: ln.Run, mark: str, page: Path, problem: str, seconds: float) -> StepResult:
    """Attach the report, give the run its final status, and remember what it was made from."""
    from perturbench_lamin.lineage import reports, runs

    reports.attach(run, page)
    made = runs.outputs(run)
    absent = _absent(step, made)
    if not problem and absent:
        problem = f"The notebook did not make {some(absent)}: its report says why"
    if not problem and run.finished_at is None:
        problem = "The notebook ended without ln.finish()"
    uids = {key: artifact.uid for key, artifact in made.items()}
    if problem:
        runs.close(run, runs.Status.ERRORED, problem)
        return StepResult(step, "failed", run.uid, uids, seconds, problem, page)
    runs.remember(run, mark)
    return StepResult(step, "done", run.uid, uids, seconds, report=page)


def _parameters(step: Step, results: Mapping[str, StepResult]) -> dict[str, Any]:
    """The step's own parameters and the uids of its inputs."""

    def uid(output: Output) -> str:
        made = results[output.step].outputs
        keys = [key for key in made if fnmatchcase(key, output.key)]
        if not keys:
            raise ChainError(f"Step {output.step!r} made no {output.key!r}", where=step.name)
        return made[keys[0]]

    filled = {
        name: uid(value) if isinstance(value, Output) else [uid(output) for output in value]
        for name, value in step.inputs.items()
    }
    return {**step.params, **filled}


def _file_name(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9._-]+", "-", name)


def _absent(step: Step, made: Collection[str]) -> list[str]:
    return [pattern for pattern in step.outputs if not any(fnmatchcase(key, pattern) for key in made)]


def _told(chain: Chain) -> dict[str, Any]:
    return {"steps": [step.name for step in chain.steps]}
