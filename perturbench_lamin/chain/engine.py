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

    Raises:
        PapermillExecutionError: a cell raised; ``executed`` holds everything up to it.
    """
    executed.parent.mkdir(parents=True, exist_ok=True)
    environment = {**PATIENT, **os.environ, **variables, **notebook_variables(notebook)}
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


def kernel_log(executed: Path) -> Path:
    """Where the kernel of an executed notebook wrote its stderr."""
    return executed.with_suffix(".kernel.log")


def cell_error(error: PapermillExecutionError) -> str:
    """The last line of a cell's error and what it says, without the traceback."""
    return f"{error.ename}: {error.evalue}"
