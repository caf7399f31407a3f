"""Bring the recorded files that a reproduction starts from into the scratch instance."""

from __future__ import annotations

import shutil

import lamindb as ln

from perturbench_lamin.errors import IntegrityError
from perturbench_lamin.lineage import artifacts, runs
from perturbench_lamin.lineage.intact import is_registered
from perturbench_lamin.reproduction.plan import Plan, RecordedFile, Scratch


def register_given(plan: Plan, scratch: Scratch) -> dict[str, str]:
    """Register the given files in this instance; return recorded uid → uid here.

    Raises:
        IntegrityError: one is not what was registered.
    """
    if not plan.given:
        return {}
    transform = ln.Transform(key="recorded-files", kind="pipeline", description="Files taken as they were recorded")
    run = ln.Run(transform.save(), name="recorded files", status="started").save()
    ln.context._run = run
    given = {one.file.uid: _register(one.file, scratch) for one in plan.given}
    ln.context._run = None
    runs.close(run, runs.Status.COMPLETED)
    return given


def lay_out_deposit(plan: Plan, scratch: Scratch) -> None:
    """Copy the raw files that ingestion notebooks made to where these look for them instead of the network."""
    for file in (file for step in plan.steps for file in step.outputs if file.key.startswith("raw/")):
        file.require_intact()
        target = scratch.deposit / file.key.removeprefix("raw/")
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file.path, target)


def _register(file: RecordedFile, scratch: Scratch) -> str:
    file.require_intact()
    copy = scratch.folder / "given" / f"{file.uid}{file.suffix}"  # LaminDB refuses a path in another store
    copy.parent.mkdir(exist_ok=True)
    shutil.copyfile(file.path, copy)
    artifact = artifacts.save(copy, file.key or file.uid, file.description, features=file.features, kind=file.kind)
    if not is_registered(copy, file.hash, file.hash_type, file.features.get("sha256")):
        raise IntegrityError(f"{file.key} ({file.uid}) was altered while it was copied", where=file.path)
    copy.unlink()
    return str(artifact.uid)
