"""Run a chain, tell how it goes, and show what it ends with."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from perturbench_lamin.catalog import outside
from perturbench_lamin.cli.chain_options import Execution
from perturbench_lamin.cli.options import project_folder
from perturbench_lamin.cli.progress import StepLines, interactive
from perturbench_lamin.errors import ChainError, InputError, nearest

if TYPE_CHECKING:
    from perturbench_lamin.catalog.dataset import Dataset
    from perturbench_lamin.chain.benchmark import BenchmarkConfig
    from perturbench_lamin.chain.run import StepResult
    from perturbench_lamin.chain.step import Step
    from perturbench_lamin.lineage.instance import Instance


def run_benchmark(dataset: Dataset, config: BenchmarkConfig, execution: Execution) -> None:
    """Run a dataset's benchmark as :func:`run_steps` does.

    Raises:
        ChainError: a step failed.
    """
    from perturbench_lamin.chain.benchmark import benchmark_steps

    run_steps(dataset, lambda downloads: benchmark_steps(dataset, config, downloads), execution)


def run_steps(dataset: Dataset, make: Callable[[Path], list[Step]], execution: Execution) -> None:
    """Run a chain about a dataset, tell how it goes, and show the tables it ends with.

    Args:
        dataset: from the catalog.
        make: makes the steps, given the folder for downloads.
        execution: where, and how.

    Raises:
        ChainError: a step failed.
    """
    from perturbench_lamin.chain.run import Chain, run_chain
    from perturbench_lamin.lineage.instance import instance_folder, open_instance
    from perturbench_lamin.locks import only_one

    notebooks = execution.notebooks or project_folder()
    if (folder_of_datasets := outside.project()) is not None:  # for the kernels, which work elsewhere
        os.environ[outside.VARIABLE] = str(folder_of_datasets.resolve())
    folder = instance_folder(execution.instance, notebooks)
    steps = make(folder / "raw")
    _check_notebooks(dataset, notebooks)
    if execution.dry_run:
        for step in steps:
            click.echo(f"{step.name:40s} {step.notebook}")
        return
    with only_one(folder) as handle:
        instance = open_instance(execution.instance, notebooks)
        click.echo(f"Instance: {instance.slug} in {instance.folder}")
        chain = Chain(dataset.name, steps, instance, notebooks, handle)
        forced = [step.name for step in steps] if execution.force else []
        results = run_chain(chain, force=forced, report=StepLines(), progress=interactive())
    _conclude(results, instance)


def _conclude(results: list[StepResult], instance: Instance) -> None:
    failed = [result for result in results if result.state == "failed"]
    if failed:
        raise ChainError(
            f"{len(failed)} of {len(results)} steps failed: {failed[0].step.name}: {failed[0].problem}",
            where=failed[0].report,
            fix="The report shows the notebook up to the error. Once mended, the same command goes on from there.",
        )
    if all(result.state == "kept" for result in results):
        click.echo("\nNothing to do: the lineage has every step, from the same notebooks, code, parameters and inputs.")
    for result in results:
        for key in result.outputs:
            if key.startswith("leaderboards/"):
                _show_leaderboard(key, result.outputs[key], instance)
            elif key.startswith("experiments/"):
                _show_artifact(key, result.outputs[key], instance)


def _show_leaderboard(key: str, uid: str, instance: Instance) -> None:
    from perturbench_lamin.evaluation.leaderboard import to_text
    from perturbench_lamin.evaluation.metrics_file import read_board
    from perturbench_lamin.lineage import artifacts

    board = artifacts.get(uid)
    click.echo(f"\n{to_text(read_board(artifacts.require(board))).to_string(index=False)}\n")
    click.echo(f"Leaderboard: {key} (artifact {board.uid}), file {board.path}")
    click.echo(f"How it came about:  perturbench-lamin lineage {board.uid} {instance.option}")


def _show_artifact(key: str, uid: str, instance: Instance) -> None:
    from perturbench_lamin.lineage import artifacts

    click.echo(f"\n{key} (artifact {uid}), file {artifacts.require(artifacts.get(uid))}")
    click.echo(f"How it came about:  perturbench-lamin lineage {uid} {instance.option}")


def _check_notebooks(dataset: Dataset, notebooks: Path) -> None:
    if not (notebooks / "curation" / f"curate_{dataset.name}.ipynb").is_file():
        have = [path.stem.removeprefix("curate_") for path in (notebooks / "curation").glob("curate_*.ipynb")]
        raise InputError(
            f"No notebooks for {dataset.name}", where=notebooks / "curation", fix=nearest(dataset.name, have)
        )
