"""Keep the source and the environment of a run that never came to ``ln.finish()``, where LaminDB would save them."""

from __future__ import annotations

from importlib.metadata import distributions
from pathlib import Path

import lamindb as ln
import nbformat
from lamindb.core._finish import save_context_core

from perturbench_lamin.files import write_text
from perturbench_lamin.lineage.artifacts import save_of_run
from perturbench_lamin.lineage.intact import trouble_of

ENVIRONMENTS = ("run_env_pip.txt", "uv.lock", "pixi.lock")
"""What LaminDB calls the file in which a kernel lists its packages."""


def keep(run: ln.Run, executed: Path, cache: Path) -> None:
    """Save a failed or killed run's notebook and packages, so that they can be looked at and repeated.

    Args:
        run: the run; its transform changes when the source is that of an earlier version.
        executed: the executed notebook, as far as it came.
        cache: the kernel's LaminDB cache.
    """
    keep_environment(run, cache)
    if run.transform.source_code is None and executed.is_file():
        try:
            source = _source_of(executed)
        except ValueError:  # cut off in the middle of being written: there is no source to keep
            return
        save_context_core(
            run=run,
            transform=run.transform,
            filepath=source,
            skip_save_report=True,
            ignore_non_consecutive=True,
            from_cli=True,
            notebook_runner="nbconvert",
        )


def _source_of(executed: Path) -> Path:
    """The notebook that papermill executed, without what papermill added: parameters, outputs, counters."""
    book = nbformat.read(executed, as_version=4)
    book.cells = [cell for cell in book.cells if "injected-parameters" not in cell.metadata.get("tags", [])]
    for cell in book.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    path = executed.parent / "source" / executed.name
    path.parent.mkdir(exist_ok=True)
    nbformat.write(book, path)
    return path


def keep_environment(run: ln.Run, cache: Path, *, or_todays: bool = False) -> None:
    """Save a run's list of packages where the kernel left it, or put it back where the kept one is not intact.

    Args:
        run: the run.
        cache: the kernel's LaminDB cache.
        or_todays: where the kernel left none, as in an environment without pip, list this process's packages.
    """
    if run.environment is not None and not trouble_of(run.environment, download=False):
        return
    folder = cache / "environments" / f"run_{run.uid}"
    left = [path for path in (folder / name for name in ENVIRONMENTS) if path.is_file() and path.stat().st_size]
    if not left and or_todays:
        left = [write_text(folder / ENVIRONMENTS[0], _installed())]
    if left:
        run.environment = save_of_run(left[0], "requirements.txt" if left[0].name == ENVIRONMENTS[0] else left[0].name)
        run.save()


def _installed() -> str:
    """The packages of this process, as ``pip freeze`` lists them."""
    found = {(one.metadata["Name"], one.version) for one in distributions() if one.metadata["Name"]}
    return "".join(f"{name}=={version}\n" for name, version in sorted(found))
