"""Run the steps of a chain, each once: what the lineage says is made already is not made again."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from perturbench_lamin.chain.step import Identity, Output, Step, fingerprint, identity, in_order, require_parameters
from perturbench_lamin.errors import ChainError, some
from perturbench_lamin.lineage.instance import Instance

if TYPE_CHECKING:
    import lamindb as ln

    from perturbench_lamin.lineage.code import CodeRecord
    from perturbench_lamin.lineage.loaded import Loaded

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
        notes: what else is worth knowing, such as files of the lineage that were altered, and were made again.
    """

    step: Step
    state: State
    run: str = ""
    outputs: Mapping[str, str] = field(default_factory=dict)
    seconds: float = 0.0
    problem: str = ""
    report: Path | None = None
    notes: tuple[str, ...] = ()


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
    """Run every step whose source, code, parameters or inputs have no completed run yet, in order.

    So is a step run again whose files, report or list of packages are gone or were altered. A step that fails stops
    those that need it; the others go on.

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

    from perturbench_lamin.lineage import features, left_behind, project, runs

    ln.settings.verbosity = "error"
    left_behind.settle(chain.instance.folder)
    features.save_features()
    project.save_project()
    results: dict[str, StepResult] = {}
    parent: ln.Run | None = None
    try:
        for place, step in enumerate(steps, start=1):
            result, notes = _kept(chain, step, results, force)
            if result is None:
                parent = parent or runs.start_chain_run(chain.name, _told(chain), chain.instance.folder)
                report(place, len(steps), step)
                result = _execute(chain, step, results, parent, progress)
                result = replace(result, notes=(*notes, *result.notes))
            results[step.name] = result
            report(place, len(steps), result)
    except BaseException:
        if parent is not None:
            left_behind.settle(chain.instance.folder)
        raise
    if parent is not None:
        failed = any(result.state == "failed" for result in results.values())
        runs.close(parent, runs.Status.ERRORED if failed else runs.Status.COMPLETED)
    return list(results.values())


def _kept(
    chain: Chain, step: Step, results: Mapping[str, StepResult], force: Collection[str]
) -> tuple[StepResult | None, tuple[str, ...]]:
    """The result of a step that need not or cannot run, or None; and which of its files are not intact."""
    from perturbench_lamin.lineage import runs
    from perturbench_lamin.lineage.intact import run_troubles

    missing = sorted(name for name in step.needs() if results[name].state in ("failed", "skipped"))
    if missing:
        return StepResult(step, "skipped", problem=f"needs {some(missing, 2)}"), ()
    if step.name in force:
        return None, ()
    run = runs.completed(fingerprint(step, chain.notebooks / step.notebook, _parameters(step, results)))
    made = runs.outputs(run) if run else {}
    if run is None or _absent(step, made) or not runs.is_whole(run):
        return None, ()
    troubles = tuple(run_troubles(run))
    if troubles:
        return None, troubles
    return StepResult(step, "kept", run.uid, {key: artifact.uid for key, artifact in made.items()}), ()


@dataclass(frozen=True)
class _Execution:
    """A step on its way.

    Attributes:
        step: the step.
        notebook: its file.
        parameters: as the step sets them, inputs filled in.
        folder: where it works.
        before: what decides its result, as it was before it ran.
        code: the record of its code.
    """

    step: Step
    notebook: Path
    parameters: Mapping[str, Any]
    folder: Path
    before: Identity
    code: CodeRecord

    @property
    def executed(self) -> Path:
        """The executed notebook."""
        return self.folder / self.notebook.name

    @property
    def cache(self) -> Path:
        """The kernel's LaminDB cache."""
        return self.folder / "cache"

    def moved(self) -> bool:
        """Whether something that decides the result was written to since."""
        try:
            return identity(self.step, self.notebook, self.parameters) != self.before
        except (OSError, ChainError):  # it is not even there any more
            return True


def _execute(chain: Chain, step: Step, results: Mapping[str, StepResult], parent: ln.Run, progress: bool) -> StepResult:
    from perturbench_lamin.chain import engine
    from perturbench_lamin.lineage import reports, runs, sources

    started = time.monotonic()
    this = _prepared(chain, step, results)
    runs.announce(parent, this.executed, this.cache, this.code.plain())
    newest = runs.child_of(parent)
    problem = engine.attempt(
        this.notebook,
        this.executed,
        {**this.parameters, **step.settings, "work_folder": str(this.folder)},
        variables={
            **chain.instance.variables(),
            "LAMIN_INITIATED_BY_RUN_UID": parent.uid,
            "LAMIN_CACHE_DIR": str(this.cache),
        },
        handles=(chain.handle,),
        progress=progress,
    )
    run = runs.child_of(parent)
    run = None if run is None or (newest is not None and run.id == newest.id) else run
    page = reports.render(this.executed)
    seconds = time.monotonic() - started
    if run is None:
        problem = problem or "The notebook ended without a tracked run"
        return StepResult(step, "failed", seconds=seconds, problem=problem, report=page)
    if problem:
        sources.keep(run, this.executed, this.cache)
    return _conclude(this, run, page, problem, seconds)


def _prepared(chain: Chain, step: Step, results: Mapping[str, StepResult]) -> _Execution:
    """Look at what decides the step's result, and keep its code where no commit has it."""
    from perturbench_lamin.chain.code import PACKAGE, package_root, total
    from perturbench_lamin.lineage.code import SHOWN_DIGITS, record

    notebook, parameters = chain.notebooks / step.notebook, _parameters(step, results)
    before = identity(step, notebook, parameters)
    before.files.forget_bytecode()
    shown = {name: digest[:SHOWN_DIGITS] for name, digest in before.code.items()}
    found = record(package_root(), PACKAGE, before.files.outside())
    code = replace(found, digest=total(before.code), modules=shown)
    folder = chain.instance.work / _file_name(chain.name) / _file_name(step.name)
    return _Execution(step, notebook, parameters, folder, before, code)


def _conclude(this: _Execution, run: ln.Run, page: Path, problem: str, seconds: float) -> StepResult:
    """Attach the report, give the run its final status, and remember what it was made from."""
    from perturbench_lamin.chain import engine
    from perturbench_lamin.lineage import reports, runs, sources

    step, moved = this.step, this.moved()
    runs.note_code(run, replace(this.code, moved=moved).plain())
    sources.keep_environment(run, this.cache, or_todays=True)
    reports.attach(run, page)
    made = runs.outputs(run)
    absent = _absent(step, made)
    if not problem and absent:
        problem = f"The notebook did not make {some(absent)}: its report says why"
    if not problem and run.finished_at is None:
        problem = "The notebook ended without ln.finish()"
    loaded, uids = engine.loaded(this.executed), {key: artifact.uid for key, artifact in made.items()}
    problem = problem or _other_code(loaded)
    if problem:
        runs.close(run, runs.Status.ERRORED, problem)
        return StepResult(step, "failed", run.uid, uids, seconds, problem, page)
    notes = _doubts(moved, loaded, this.before)
    runs.remember(run, "" if notes else this.before.mark)
    return StepResult(step, "done", run.uid, uids, seconds, report=page, notes=notes)


def _other_code(loaded: Loaded | None) -> str:
    """What is wrong where the kernel did not run the code that was looked at; empty where it did."""
    from perturbench_lamin.chain.code import package_root

    if loaded is None:
        return "The kernel did not say which code it ran: is it one of this environment?"
    if Path(loaded.root) != package_root():
        return f"The kernel ran the package in {loaded.root}, not the one in {package_root()}"
    return ""


def _doubts(moved: bool, loaded: Loaded | None, before: Identity) -> tuple[str, ...]:
    """Why a result cannot be taken for that of its code; the step then runs again the next time."""
    unseen = sorted(loaded.modules - before.code.keys()) if loaded else []
    told = {
        "its code, its notebook or a file that it reads was written to while it ran": moved,
        f"it loaded {some(unseen, 3)}, which nothing that it imports names": bool(unseen),
    }
    return tuple(f"{what}: it runs again the next time" for what, is_so in told.items() if is_so)


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
