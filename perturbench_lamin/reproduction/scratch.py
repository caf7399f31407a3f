"""Execute a plan in a new instance; run as a process of its own, because a process connects to one instance.

``python -m perturbench_lamin.reproduction.scratch FOLDER`` reads ``FOLDER/plan.json`` and writes
``FOLDER/outcomes.json``.
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from perturbench_lamin.errors import ChainError
from perturbench_lamin.files import write_text
from perturbench_lamin.lineage.instance import Instance, local_instance
from perturbench_lamin.reproduction import source
from perturbench_lamin.reproduction.outcome import MadeFile, Outcomes, StepOutcome
from perturbench_lamin.reproduction.plan import Plan, RecordedStep, Scratch

if TYPE_CHECKING:
    import lamindb as ln


@dataclass
class _Session:
    """A plan on its way.

    Attributes:
        plan: what is executed.
        scratch: where.
        instance: the new instance.
        parent: the run that the notebooks' runs belong to.
        renamed: uid of a recorded file → uid of what stands for it in the new instance, as far as it is there.
        outcomes: by uid of the recorded run, as far as steps were executed.
    """

    plan: Plan
    scratch: Scratch
    instance: Instance
    parent: ln.Run
    renamed: dict[str, str]
    outcomes: dict[str, StepOutcome] = field(default_factory=dict)


def execute(plan: Plan, scratch: Scratch) -> Outcomes:
    """Execute every step of a plan whose needs succeeded, each in a kernel of its own.

    Raises:
        IntegrityError: a file that the steps start from is not what was registered.
    """
    instance = local_instance(scratch.instance)
    instance.connect()
    import lamindb as ln

    from perturbench_lamin.lineage import features, project, runs
    from perturbench_lamin.reproduction.given import lay_out_deposit, register_given

    ln.settings.verbosity = "error"
    features.save_features()
    project.save_project()
    given = register_given(plan, scratch)
    lay_out_deposit(plan, scratch)
    parent = runs.start_chain_run("reproduction", {"of": plan.target.uid, "start": plan.start}, scratch.instance)
    session = _Session(plan, scratch, instance, parent, dict(given))
    for place, step in enumerate(plan.steps, start=1):
        session.outcomes[step.run] = _tell(session, place, step)
    failed = any(outcome.state != "done" for outcome in session.outcomes.values())
    runs.close(parent, runs.Status.ERRORED if failed else runs.Status.COMPLETED)
    return Outcomes(given, tuple(session.outcomes.values()))


def _tell(session: _Session, place: int, step: RecordedStep) -> StepOutcome:
    """Execute a step and say how it went."""
    total = len(session.plan.steps)
    if sys.stdout.isatty():
        click.echo(f"[{place:2d}/{total}] {step.name} …\r", nl=False)
    outcome = _step(session, place, step)
    told = outcome.problem or (f"{outcome.seconds:.0f} s" if outcome.seconds is not None else "")
    click.echo(f"[{place:2d}/{total}] {step.name:36s} {outcome.state:8s} {told}")
    return outcome


def _step(session: _Session, place: int, step: RecordedStep) -> StepOutcome:
    from perturbench_lamin.lineage import reports, runs, sources

    lost = {run for run in session.plan.needs(step) if session.outcomes[run].state != "done"}
    if lost:
        names = [one.name for one in session.plan.steps if one.run in lost]
        return StepOutcome(step.run, "skipped", f"needs {', '.join(names)}")
    folder = session.scratch.step(place, step)
    folder.mkdir(parents=True, exist_ok=True)
    before, executed = runs.child_of(session.parent), folder / Path(step.transform).name
    problem = _notebook(session, step, executed)
    run = runs.child_of(session.parent)
    if run is None or (before is not None and run.pk == before.pk):
        return StepOutcome(step.run, "failed", problem or "the notebook ended without a tracked run")
    page = reports.render(executed)
    reports.attach(run, page)
    problem = problem or ("" if run.finished_at else "the notebook ended without ln.finish()")
    if problem:
        sources.keep(run, executed, folder / "cache")
        runs.close(run, runs.Status.ERRORED)
    else:
        runs.remember(run, f"reproduction of {step.run}")
    return _outcome(session, step, run, problem, page)


def _notebook(session: _Session, step: RecordedStep, executed: Path) -> str:
    """Execute a step's recorded source; return what went wrong."""
    from perturbench_lamin.chain import engine
    from perturbench_lamin.chain.code import package_root

    variables = {
        **session.instance.variables(),
        "LAMIN_INITIATED_BY_RUN_UID": session.parent.uid,
        "LAMIN_CACHE_DIR": str(executed.parent / "cache"),
    }
    try:
        book = source.notebook(step.source, step.title)
        recorded = source.write(book, executed.parent / "recorded" / executed.name)
        parameters = source.parameters(book, step.params, _references(session, step))
    except ChainError as error:
        return f"{type(error).__name__}: {error}"
    settings = _settings(book, executed.parent, session.scratch)
    root = session.scratch.code_of(step) if session.plan.code == "recorded" else package_root()
    problem = engine.attempt(recorded, executed, {**settings, **parameters}, variables=variables, root=root)
    loaded = engine.loaded(executed)
    if not problem and (loaded is None or Path(loaded.root) != root.resolve()):
        problem = f"The kernel ran the package in {loaded.root if loaded else 'an unknown folder'}, not in {root}"
    return problem


def _references(session: _Session, step: RecordedStep) -> dict[str, str]:
    """What parameters call the step's inputs, by uid or by key → uid here."""
    files, renamed = session.plan.files(), session.renamed
    keys = {files[uid].key: renamed[uid] for uid in step.inputs if uid in files and uid in renamed}
    return {**keys, **renamed}


def _settings(book: Any, folder: Path, scratch: Scratch) -> dict[str, str]:
    """Parameters that are not recorded because they do not change the result: where files lie."""
    places = {"work_folder": folder, "raw_folder": scratch.deposit, "download_folder": scratch.deposit}
    return {name: str(places[name]) for name in source.declared(book) if name in places}


def _outcome(session: _Session, step: RecordedStep, run: ln.Run, problem: str, page: Path) -> StepOutcome:
    """Match what was made with the record, by key; a run's uid in a key stands for the run's."""
    from perturbench_lamin.lineage import runs
    from perturbench_lamin.reproduction.environment import packages

    made = runs.outputs(run)
    matched = {file.uid: made.get(file.key.replace(step.run, run.uid)) for file in step.outputs}
    found = {uid: artifact for uid, artifact in matched.items() if artifact is not None}
    session.renamed.update({uid: artifact.uid for uid, artifact in found.items()})
    return StepOutcome(
        run=step.run,
        state="failed" if problem else "done",
        problem=problem,
        seconds=None if problem else (run.finished_at - run.started_at).total_seconds(),
        outputs={uid: MadeFile(one.uid, one.hash or "", str(one.path)) for uid, one in found.items()},
        again=run.uid,
        packages=packages(run.environment.path.read_text() if run.environment else ""),
        python=str((run.extra_data or {}).get(runs.PYTHON, "")),
        report=str(page),
    )


def main(folder: Path) -> None:
    """Execute the plan that lies in a folder."""
    scratch = Scratch(folder)
    plan = Plan.from_dict(json.loads(scratch.plan.read_text(encoding="utf-8")))
    write_text(scratch.outcomes, json.dumps(execute(plan, scratch).to_dict(), indent=1))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
