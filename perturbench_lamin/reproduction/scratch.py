"""Execute a plan in a new instance; run as a process of its own, because a process connects to one instance.

``python -m perturbench_lamin.reproduction.scratch FOLDER`` reads ``FOLDER/plan.json`` and writes
``FOLDER/outcomes.json``.
"""

from __future__ import annotations

import json
import shutil
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from perturbench_lamin.errors import IntegrityError
from perturbench_lamin.files import write_text
from perturbench_lamin.lineage.instance import Instance, local_instance
from perturbench_lamin.reproduction import source
from perturbench_lamin.reproduction.plan import Plan, RecordedStep, Scratch, StepOutcome

if TYPE_CHECKING:
    import lamindb as ln


def execute(plan: Plan, scratch: Scratch) -> list[StepOutcome]:
    """Execute every step of a plan whose needs succeeded, each in a kernel of its own.

    Raises:
        IntegrityError: a file was altered while it was copied.
    """
    instance = local_instance(scratch.instance)
    instance.connect()
    import lamindb as ln

    from perturbench_lamin.lineage import features, runs

    ln.settings.verbosity = "error"
    features.save_features()
    renamed = _register_given(plan)
    _lay_out_deposit(plan, scratch)
    parent = runs.start_chain_run("reproduction", {"of": plan.target.uid, "start": plan.start}, scratch.instance)
    outcomes: dict[str, StepOutcome] = {}
    for place, step in enumerate(plan.steps, start=1):
        _say(f"[{place:2d}/{len(plan.steps)}] {step.name} …", end="\r")
        lost = [run for run in plan.needs(step) if outcomes[run].state != "done"]
        if lost:
            names = [one.name for one in plan.steps if one.run in lost]
            outcome = StepOutcome(step.run, "skipped", problem=f"needs {', '.join(names)}")
        else:
            outcome = _execute(step, scratch.step(place, step), scratch, instance, parent, renamed)
        outcomes[step.run] = outcome
        told = outcome.problem or (f"{outcome.seconds:.0f} s" if outcome.seconds is not None else "")
        _say(f"[{place:2d}/{len(plan.steps)}] {step.name:36s} {outcome.state:8s} {told}")
    failed = any(outcome.state != "done" for outcome in outcomes.values())
    runs.close(parent, runs.Status.ERRORED if failed else runs.Status.COMPLETED)
    return list(outcomes.values())


def _register_given(plan: Plan) -> dict[str, str]:
    """Register the given files; return recorded uid or key → uid in this instance."""
    import lamindb as ln

    from perturbench_lamin.lineage import artifacts

    if not plan.given:
        return {}
    transform = ln.Transform(
        key="recorded-files", kind="pipeline", description="Files taken as they were recorded"
    ).save()
    run = ln.Run(transform, name="recorded files", status="started").save()
    ln.context._run = run
    renamed: dict[str, str] = {}
    for file in (one.file for one in plan.given):
        file.require_intact()
        artifact = artifacts.save(
            file.path, file.key or file.uid, file.description, features=file.features, kind=file.kind
        )
        if file.hash and artifact.hash != file.hash:
            raise IntegrityError(f"{file.key} ({file.uid}) was altered while it was copied", where=file.path)
        renamed.update({file.uid: artifact.uid})
    ln.context._run = None
    from perturbench_lamin.lineage import runs

    runs.close(run, runs.Status.COMPLETED)
    return renamed


def _lay_out_deposit(plan: Plan, scratch: Scratch) -> None:
    """Copy the raw files that ingestion notebooks made to where these look for them instead of the network."""
    for step in plan.steps:
        for file in step.outputs:
            if file.key.startswith("raw/"):
                file.require_intact()
                target = scratch.deposit / file.key.removeprefix("raw/")
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(file.path, target)


def _execute(
    step: RecordedStep, folder: Path, scratch: Scratch, instance: Instance, parent: ln.Run, renamed: dict[str, str]
) -> StepOutcome:
    from perturbench_lamin.lineage import reports, runs, sources

    folder.mkdir(parents=True, exist_ok=True)
    before = runs.child_of(parent)
    executed, cache = folder / Path(step.transform).name, folder / "cache"
    problem = _run_notebook(step, executed, cache, scratch, instance, parent, renamed)
    run = runs.child_of(parent)
    if run is None or (before is not None and run.pk == before.pk):
        return StepOutcome(step.run, "failed", problem or "the notebook ended without a tracked run")
    page = reports.render(executed)
    reports.attach(run, page)
    if not problem and run.finished_at is None:
        problem = "the notebook ended without ln.finish()"
    if problem:
        sources.keep(run, executed, cache)
        runs.close(run, runs.Status.ERRORED)
    else:
        runs.remember(run, f"reproduction of {step.run}")
    return _outcome(step, run, problem, page, renamed)


def _run_notebook(
    step: RecordedStep,
    executed: Path,
    cache: Path,
    scratch: Scratch,
    instance: Instance,
    parent: ln.Run,
    renamed: dict[str, str],
) -> str:
    """Execute a step's recorded source; return what went wrong."""
    from papermill.exceptions import PapermillExecutionError

    from perturbench_lamin.chain import engine

    variables = {
        **instance.variables(),
        "LAMIN_INITIATED_BY_RUN_UID": parent.uid,
        "LAMIN_CACHE_DIR": str(cache),
    }
    try:
        book = source.notebook(step.source, step.title)
        recorded = source.write(book, executed.parent / "recorded" / executed.name)
        settings = _settings(book, executed.parent, scratch)
        parameters = source.parameters(book, step.params, renamed)
        engine.execute(recorded, executed, {**settings, **parameters}, variables=variables)
    except PapermillExecutionError as error:
        return engine.cell_error(error)
    except Exception as error:  # such as a kernel that died for lack of memory: the step failed, others may go on
        return f"{type(error).__name__}: {error}"
    return ""


def _settings(book: Any, folder: Path, scratch: Scratch) -> dict[str, str]:
    """Parameters that are not recorded because they do not change the result: where files lie."""
    places = {"work_folder": folder, "raw_folder": scratch.deposit, "download_folder": scratch.deposit}
    return {name: str(places[name]) for name in source.declared(book) if name in places}


def _outcome(step: RecordedStep, run: ln.Run, problem: str, page: Path, renamed: dict[str, str]) -> StepOutcome:
    """Match what was made with the record, by key; a run's uid in a key stands for the run's."""
    from perturbench_lamin.lineage import runs
    from perturbench_lamin.reproduction.environment import packages

    made = runs.outputs(run)
    matched = {file.uid: made.get(file.key.replace(step.run, run.uid)) for file in step.outputs}
    found = {uid: artifact for uid, artifact in matched.items() if artifact is not None}
    for file in step.outputs:
        if file.uid in found:
            renamed[file.uid] = found[file.uid].uid
    environment = run.environment.path.read_text() if run.environment else ""
    return StepOutcome(
        step.run,
        "failed" if problem else "done",
        problem,
        (run.finished_at - run.started_at).total_seconds() if run.finished_at and not problem else None,
        {uid: str(artifact.path) for uid, artifact in found.items()},
        packages(environment),
        str((run.extra_data or {}).get(runs.PYTHON, "")),
        str(page),
    )


def _say(text: str, end: str = "\n") -> None:
    if end == "\n" or sys.stdout.isatty():
        click.echo(text + end, nl=False)


def main(folder: Path) -> None:
    """Execute the plan that lies in a folder."""
    scratch = Scratch(folder)
    plan = Plan.from_dict(json.loads(scratch.plan.read_text(encoding="utf-8")))
    outcomes = execute(plan, scratch)
    write_text(scratch.outcomes, json.dumps([asdict(outcome) for outcome in outcomes], indent=1))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
