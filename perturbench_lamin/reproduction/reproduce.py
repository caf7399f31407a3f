"""Get an artifact again from its lineage, in a scratch instance, and compare every step with the record."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from perturbench_lamin.errors import ChainError, InputError
from perturbench_lamin.files import write_text
from perturbench_lamin.lineage.instance import INSTANCE_VARIABLE
from perturbench_lamin.reproduction.code import lay_out
from perturbench_lamin.reproduction.outcome import Outcomes
from perturbench_lamin.reproduction.plan import Plan, Scratch
from perturbench_lamin.reproduction.result import StepResult, results


def reproduce(plan: Plan, keep: Path | None = None) -> list[StepResult]:
    """Execute a plan and compare.

    Args:
        plan: what to execute.
        keep: a new folder for the scratch instance and all files; None: a temporary one, removed at the end.

    Returns:
        One result a step, in the order they ran.

    Raises:
        InputError: the folder to keep is not empty.
        IntegrityError: a file that the steps start from, or recorded code that is to run, is gone or was altered.
        ChainError: the process that executes the plan came to no end, or there is no recorded code to run.
    """
    require_inputs(plan)
    with _folder(keep) as folder:
        scratch = Scratch(folder)
        if plan.code == "recorded":
            lay_out(plan, scratch)
        return results(plan, _execute(plan, scratch))


def require_inputs(plan: Plan) -> None:
    """Check that every file the steps start from is what was registered.

    Raises:
        IntegrityError: one is gone or was altered.
    """
    for one in plan.given:
        one.file.require_intact()
    for file in (file for step in plan.steps for file in step.outputs if file.key.startswith("raw/")):
        file.require_intact()  # ingestion is fed with it


@contextmanager
def _folder(keep: Path | None) -> Iterator[Path]:
    if keep is None:
        with tempfile.TemporaryDirectory(prefix="perturbench-reproduction-", ignore_cleanup_errors=True) as name:
            yield Path(name).resolve()
        return
    if keep.exists() and any(keep.iterdir()):
        raise InputError("The folder to keep is not empty", where=keep, fix="Name a new one.")
    keep.mkdir(parents=True, exist_ok=True)
    yield keep.resolve()


def _execute(plan: Plan, scratch: Scratch) -> Outcomes:
    """Execute in a process of its own, which knows nothing of this one's instance, settings and caches."""
    write_text(scratch.plan, json.dumps(plan.to_dict(), indent=1))
    kept = {name: value for name, value in os.environ.items() if not name.startswith("LAMIN_")}
    kept.pop(INSTANCE_VARIABLE, None)
    folders = {"LAMIN_SETTINGS_DIR": scratch.folder / "settings", "LAMIN_CACHE_DIR": scratch.folder / "cache"}
    for folder in folders.values():
        folder.mkdir(parents=True, exist_ok=True)
    variables = {**kept, **{name: str(folder) for name, folder in folders.items()}}
    command = [sys.executable, "-m", "perturbench_lamin.reproduction.scratch", str(scratch.folder)]
    done = subprocess.run(command, env=variables, stderr=subprocess.PIPE, text=True, check=False)
    if not scratch.outcomes.exists():
        said = done.stderr.strip().splitlines()
        raise ChainError(f"The reproduction came to no end: {said[-1] if said else done.returncode}")
    return Outcomes.from_dict(json.loads(scratch.outcomes.read_text(encoding="utf-8")))
