"""Run one notebook with papermill in a kernel of its own environment."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO, TextIO

import papermill
from papermill.clientwrap import PapermillNotebookClient
from papermill.engines import NBClientEngine, papermill_engines
from papermill.exceptions import PapermillExecutionError
from traitlets.config import Config

from perturbench_lamin.chain.code import is_of_installed, package_root
from perturbench_lamin.lineage import loaded as loaded_code
from perturbench_lamin.lineage.loaded import Loaded
from perturbench_lamin.lineage.offline import notebook_variables

ENGINE = "perturbench-lamin"
PATIENT = {"GOMP_SPINCOUNT": "2000"}
"""Torch's threads soon sleep when they wait for each other: on a busy machine they would spin on the cores needed."""

ENCRYPTED = Config({"KernelManager": {"transport_encryption": "auto"}})
"""Kernels speak over loopback ports, which other users of the machine could listen to."""


class OwnEnvironmentEngine(NBClientEngine):
    """Papermill's engine, with environment variables and inherited file handles for the kernel alone."""

    @classmethod
    def execute_managed_notebook(  # noqa: D102
        cls,
        nb_man: Any,
        kernel_name: str,
        *,
        start_timeout: int = 60,
        execution_timeout: int | None = None,
        kernel_env: Mapping[str, str] | None = None,
        kernel_handles: tuple[int, ...] = (),
        kernel_folder: str | None = None,
        kernel_stderr: BinaryIO | None = None,
        stderr_file: TextIO | None = None,
        **_: Any,
    ) -> Any:
        client = PapermillNotebookClient(
            nb_man,
            kernel_name=kernel_name,
            startup_timeout=start_timeout,
            timeout=execution_timeout,
            stderr_file=stderr_file,
            config=ENCRYPTED,
        )
        return client.execute(
            env=dict(kernel_env or os.environ), pass_fds=kernel_handles, cwd=kernel_folder, stderr=kernel_stderr
        )


papermill_engines.register(ENGINE, OwnEnvironmentEngine)


def execute(
    notebook: Path,
    executed: Path,
    parameters: Mapping[str, Any],
    *,
    variables: Mapping[str, str],
    handles: tuple[int, ...] = (),
    progress: bool = False,
    root: Path | None = None,
) -> None:
    """Run ``notebook`` and save it with its outputs as ``executed``, cell by cell.

    The kernel works in the folder of ``executed`` and dies with this process. What it writes to its own stderr, such as
    a crash's last words, is in :func:`kernel_log`.

    Args:
        notebook: the source; it is not changed.
        executed: where the executed notebook is written.
        parameters: values for its parameters cell.
        variables: environment variables for the kernel, beside this process's own.
        handles: file handles that the kernel keeps open, such as a lock.
        progress: show a bar over the cells, and the bars that cells draw themselves, such as a download's.
        root: the folder that the kernel imports the package from; this process's own by default.

    Raises:
        PapermillExecutionError: a cell raised; ``executed`` holds everything up to it.
    """
    executed.parent.mkdir(parents=True, exist_ok=True)
    _loaded_file(executed).unlink(missing_ok=True)
    code = {loaded_code.VARIABLE: str(_loaded_file(executed)), **_python_path(root or package_root())}
    environment = {**PATIENT, **os.environ, **variables, **notebook_variables(notebook), **code}
    with kernel_log(executed).open("wb") as log:
        papermill.execute_notebook(
            str(notebook),
            str(executed),
            parameters=dict(parameters),
            engine_name=ENGINE,
            kernel_name="python3",
            progress_bar=progress,
            stderr_file=sys.stderr if progress else None,
            kernel_env=environment,
            kernel_handles=handles,
            kernel_folder=str(executed.parent),
            kernel_stderr=log,
        )


def attempt(notebook: Path, executed: Path, parameters: Mapping[str, Any], **options: Any) -> str:
    """As :func:`execute`; return what went wrong, in one sentence."""
    try:
        execute(notebook, executed, parameters, **options)
    except PapermillExecutionError as error:
        return cell_error(error)
    except Exception as error:  # such as a kernel that died for lack of memory: the step failed, others may go on
        return f"{type(error).__name__}: {error} (the kernel's own words: {kernel_log(executed)})"
    return ""


def loaded(executed: Path) -> Loaded | None:
    """Which code of the package the kernel of an executed notebook loaded; None where it did not say."""
    return loaded_code.told(_loaded_file(executed))


def _loaded_file(executed: Path) -> Path:
    return executed.with_suffix(".loaded.json")


def _python_path(root: Path) -> dict[str, str]:
    """Makes a kernel import the package from ``root``; a folder of installed packages is where it looks anyway."""
    if is_of_installed(root):
        return {}
    return {"PYTHONPATH": os.pathsep.join(filter(None, (str(root), os.environ.get("PYTHONPATH"))))}


def kernel_log(executed: Path) -> Path:
    """Where the kernel of an executed notebook wrote its stderr."""
    return executed.with_suffix(".kernel.log")


def cell_error(error: PapermillExecutionError) -> str:
    """The last line of a cell's error and what it says, without the traceback."""
    return f"{error.ename}: {error.evalue}"
