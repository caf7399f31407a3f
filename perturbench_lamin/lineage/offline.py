"""The one place that bends LaminDB 2.12 to work without a network, and where no editor runs a notebook.

LaminDB calls :func:`on_import` in every process that imports it (entry point ``lamindb_setup.on_import`` in
pyproject.toml), the ``lamin`` command and notebook kernels included. A chain's kernel says from here which code it
loads (:mod:`perturbench_lamin.lineage.loaded`). Three things are set right:

- An anonymous user's instance cannot be registered on LaminHub, yet LaminDB asks the hub at every new file and at
  ``ln.finish()``: a ``URLError`` offline, a hang behind a proxy that never answers. The answer is given here.
- ``ln.track()`` cannot see which notebook runs under ``papermill``, ``jupyter nbconvert --execute`` without
  ``--inplace``, ``jupyter execute``, or a script that calls nbclient. It is read from the parent process's command
  line or, where that does not tell, is the notebook nearby that holds the cells run so far; it is passed on by the
  variables that LaminDB looks at first.
- In a copied or moved folder, LaminDB would go by the name that the folder holds, to the original. The folder's
  instance is made one of its own first, see :mod:`perturbench_lamin.lineage.instance`.

``tests/lineage/test_offline.py`` says when one of the first two is no longer needed.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Mapping, Sequence, Set
from pathlib import Path

NOTEBOOK_PATH_VARIABLE = "NBPRJ_TEST_NBPATH"
NOTEBOOK_RUNNER_VARIABLE = "NBPRJ_TEST_NBENV"

RUNNERS = {"papermill", "nbconvert", "jupyter-nbconvert", "jupyter-execute", "jupyter-run"}
"""Programs that execute notebooks named on their command line."""

SERVERS = {"notebook", "nbclassic", "lab", "spyder"}
"""Programs and modules of editors whose names do not begin with jupyter."""


def on_import() -> None:
    """Called by LaminDB when it is imported."""
    from perturbench_lamin.lineage import loaded

    _answer_for_the_hub()
    _name_the_notebook()
    loaded.tell()
    _use_the_folder_as_itself()


def notebook_variables(notebook: Path) -> Mapping[str, str]:
    """Environment variables that let ``ln.track()`` in a headless kernel record ``notebook`` as its source.

    LaminDB then expects no save by an editor, and makes a new run each time.
    """
    return {NOTEBOOK_PATH_VARIABLE: str(notebook.resolve()), NOTEBOOK_RUNNER_VARIABLE: "nbconvert"}


def ran_in_order() -> bool | None:
    """For ``ln.finish(ignore_non_consecutive=…)``: True in a headless kernel, which runs the cells in order.

    LaminDB looks at the execution counts of the source notebook, which has none then, and would record the run as
    out of order. None in an editor lets it look.
    """
    return True if os.environ.get(NOTEBOOK_RUNNER_VARIABLE) == "nbconvert" else None


def _answer_for_the_hub() -> None:
    from lamindb_setup.core._settings import settings
    from lamindb_setup.core._settings_instance import InstanceSettings

    ask = InstanceSettings.is_on_hub.fget
    if getattr(ask, "answers_for_anonymous", False):
        return

    def is_on_hub(self: InstanceSettings) -> bool:
        if self._is_on_hub is None and settings.user.handle == "anonymous":
            self._is_on_hub = False
        return ask(self)

    is_on_hub.answers_for_anonymous = True  # type: ignore[attr-defined]
    InstanceSettings.is_on_hub = property(is_on_hub)


def _use_the_folder_as_itself() -> None:
    if "LAMIN_CURRENT_INSTANCE" in os.environ:
        return
    try:
        here = Path.cwd()
        places = (each for each in (here, *here.parents) if (each / ".lamin" / "current_instance").is_file())
        folder = next(places, None)
    except OSError:  # the working folder was removed, or may not be read: LaminDB finds no instance in it either
        return
    if folder is not None:
        from perturbench_lamin.lineage.instance import settle_copy

        settle_copy(folder)


def _name_the_notebook() -> None:
    if "ipykernel" not in sys.modules or NOTEBOOK_PATH_VARIABLE in os.environ:
        return
    import psutil

    try:
        parent = psutil.Process().parent()
        command, folder = (parent.cmdline(), Path(parent.cwd())) if parent else ([], Path())
    except psutil.Error:
        return
    source = executed_source(command, folder, _cells_so_far())
    if source is not None:
        os.environ.update(notebook_variables(source))


def executed_source(command: Sequence[str], folder: Path, cells: Sequence[str]) -> Path | None:
    """The notebook whose kernel a program started; None where that is an editor, or is unclear.

    Args:
        command: the program's command line.
        folder: where it was called.
        cells: the code that the kernel ran so far, the running cell last.
    """
    programs = {Path(word).name for word in command[:3]}
    named = _named(command, folder)
    if "papermill" in programs:
        return next(iter(named), None)  # the second is its output
    if programs & RUNNERS and len(named) == 1:
        return named[0]
    if not programs & RUNNERS and _is_editor(programs):
        return None
    near = (Path.cwd(), folder, Path(__file__).parents[2])
    groups = [named, *([*place.glob("*.ipynb"), *place.glob("[!.]*/*.ipynb")] for place in near)]
    return next((path for group in groups if (path := _holding(cells, sorted(group))) is not None), None)


def _named(command: Sequence[str], folder: Path) -> list[Path]:
    """The notebooks on a command line, which programs take without their suffix, too."""
    words = (folder / f"{word.removesuffix('.ipynb')}.ipynb" for word in command if not word.startswith("-"))
    return [path for path in words if path.is_file()]


def _holding(cells: Sequence[str], notebooks: Iterable[Path]) -> Path | None:
    """The notebook that has the running cell and the most of those before it; None where two such differ in code."""
    codes = {path: _code(path) for path in notebooks}
    held = {path: sum(cell in code for cell in cells) for path, code in codes.items() if cells and cells[-1] in code}
    best = [path for path, count in held.items() if count == max(held.values())]
    if len({codes[path] for path in best}) != 1:
        return None
    return min(best, key=lambda path: '"output_type"' in path.read_text(encoding="utf-8"))  # not an executed copy


def _code(notebook: Path) -> tuple[str, ...]:
    """The source of the code cells of a notebook; none of a file that is not one."""
    try:
        cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
        return tuple("".join(cell["source"]).strip() for cell in cells if cell["cell_type"] == "code")
    except (OSError, ValueError, KeyError, TypeError):
        return ()


def _cells_so_far() -> list[str]:
    """The code that this kernel ran, the running cell last."""
    from IPython import get_ipython

    shell = get_ipython()
    return [source.strip() for source in shell.history_manager.input_hist_raw] if shell else []


def _is_editor(programs: Set[str]) -> bool:
    """Whether an editor runs this kernel, which LaminDB can ask then. What a kernel starts is not an editor's."""
    if "ipykernel_launcher" in programs:
        return False
    known = hasattr(sys.modules["__main__"], "__vsc_ipynb_file__") or "JPY_SESSION_NAME" in os.environ
    return known or any(program.startswith("jupyter") or program in SERVERS for program in programs)
