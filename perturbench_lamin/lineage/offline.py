"""The one place that bends LaminDB 2.12 to work without a network and under papermill.

LaminDB calls :func:`on_import` in every process that imports it (entry point ``lamindb_setup.on_import`` in
pyproject.toml), the ``lamin`` command and notebook kernels included. A chain's kernel says from here which code it
loads (:mod:`perturbench_lamin.lineage.loaded`). Two things are set right:

- An anonymous user's instance cannot be registered on LaminHub, yet LaminDB asks the hub at every new file and at
  ``ln.finish()``: a ``URLError`` offline, a hang behind a proxy that never answers. The answer is given here.
- ``ln.track()`` cannot see which notebook runs under the plain ``papermill`` command. It is read from the parent
  process's command line and passed on by the variables that LaminDB looks at first.

``tests/lineage/test_offline.py`` says when either is no longer needed.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

NOTEBOOK_PATH_VARIABLE = "NBPRJ_TEST_NBPATH"
NOTEBOOK_RUNNER_VARIABLE = "NBPRJ_TEST_NBENV"


def on_import() -> None:
    """Called by LaminDB when it is imported."""
    from perturbench_lamin.lineage import loaded

    _answer_for_the_hub()
    _name_the_papermill_notebook()
    loaded.tell()


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


def _name_the_papermill_notebook() -> None:
    if "ipykernel" not in sys.modules or NOTEBOOK_PATH_VARIABLE in os.environ:
        return
    import psutil

    try:
        parent = psutil.Process().parent()
        source = papermill_source(parent.cmdline(), Path(parent.cwd())) if parent else None
    except psutil.Error:
        return
    if source is not None:
        os.environ.update(notebook_variables(source))


def papermill_source(command: Sequence[str], folder: Path) -> Path | None:
    """The input notebook of a ``papermill`` command line run in ``folder``; None for another command."""
    is_papermill = any(Path(word).name == "papermill" for word in command[:3])
    if not is_papermill:
        return None
    notebooks = (folder / word for word in command if word.endswith(".ipynb"))
    return next((path for path in notebooks if path.is_file()), None)
