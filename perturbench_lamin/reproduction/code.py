"""The code that recorded steps ran, beside today's, and laid out again to be run."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from perturbench_lamin.catalog import outside
from perturbench_lamin.chain.code import PACKAGE, CodeFiles, package_root
from perturbench_lamin.errors import ChainError, IntegrityError, some
from perturbench_lamin.reproduction.plan import Plan, RecordedStep, Scratch


def changed(step: RecordedStep, root: Path | None = None) -> tuple[str, ...]:
    """The modules and data files of a step's recorded code that are others in a folder, by name; none: it is the same.

    Args:
        step: with a record of its code.
        root: the folder that the package lies in; today's by default.
    """
    recorded: Mapping[str, str] = step.code.modules if step.code else {}
    now = _files(tuple(recorded), root or package_root()).digests()
    return tuple(name for name, digest in recorded.items() if not now.get(name, "").startswith(digest))


def told(step: RecordedStep) -> str:
    """How the code of a recorded step relates to today's, in words; empty where it is the same."""
    if step.code is None:
        return "the record does not hold the code that it ran"
    moved = "; the record is not sure: code was written to while it ran" if step.code.moved else ""
    others = changed(step)
    return f"today's code is not the record's: {some(others, 4)}{moved}" if others else moved.removeprefix("; ")


def lay_out(plan: Plan, scratch: Scratch) -> None:
    """Lay out the recorded code of every step, where :meth:`Scratch.code_of` says.

    Raises:
        ChainError: the code of a step was not recorded, or git does not have its commit.
        IntegrityError: a kept copy is gone, altered, or not the code that was recorded.
    """
    unknown = [step.name for step in plan.steps if step.code is None]
    if unknown:
        raise ChainError(f"The code of {some(unknown)} was not recorded", fix="Run today's: leave out --code recorded.")
    for step in plan.steps:
        folder = scratch.code_of(step)
        if not folder.exists():
            _lay_out(step, folder)
        others = changed(step, folder)
        if others:
            raise IntegrityError(f"The kept code of {step.name} is not what was recorded: {some(others)}", where=folder)


def _lay_out(step: RecordedStep, folder: Path) -> None:
    from perturbench_lamin.lineage.code import check_out, unpack

    if step.code is not None and step.code.source:
        if step.sources is None:
            raise ChainError(f"The kept code of {step.name} is not in the instance any more", where=step.code.source)
        step.sources.require_intact()
        unpack(Path(step.sources.path), folder)
    elif step.code is not None and not check_out(step.code.commit, PACKAGE, package_root(), folder):
        raise ChainError(
            f"The code of {step.name} is that of commit {step.code.commit}, which is not here",
            where=package_root(),
            fix="Fetch it: git fetch --all. Or call the command in a clone that has it.",
        )


def _files(names: tuple[str, ...], root: Path) -> CodeFiles:
    """Where the named modules and data files lie below a folder, as far as they do."""
    found = {name: path for name in names for path in _places(name, root) if path.is_file()}
    return CodeFiles(found)


def _places(name: str, root: Path) -> tuple[Path, ...]:
    if "/" in name:  # of a project's dataset, where the project is now; a copy of the record has it beside the package
        project = outside.project() if name.startswith(f"{outside.FOLDER}/") else None
        return (root / name,) if project is None else (project / name, root / name)
    path = root.joinpath(*name.split("."))
    return path / "__init__.py", path.with_name(f"{path.name}.py")
