"""The verbs that run a dataset's benchmark on an instance, and tell of it."""

from __future__ import annotations

import shlex
import shutil
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from perturbench_lamin.catalog.datasets import all_datasets
from perturbench_lamin.cli.chain_options import Execution, Subject, execution_options, subject_options
from perturbench_lamin.cli.command import Verb, under
from perturbench_lamin.cli.options import connect, instance_option
from perturbench_lamin.cli.paths import PICTURE_OUT, FolderOut
from perturbench_lamin.cli.steps import run_benchmark
from perturbench_lamin.cli.training_options import settings_options
from perturbench_lamin.evaluation.profiles import PROFILES

if TYPE_CHECKING:
    from perturbench_lamin.catalog.dataset import Dataset

NARROWEST, WIDEST, NAME_WIDTH = 60, 100, 14
"""Columns of the terminal that a list takes, at least and at most, and those of its names."""


@click.command(cls=Verb)
@click.option(
    "--instance", "where", type=FolderOut(), default=Path("demo"), show_default=True, help="Folder to make it in."
)
@click.option("--force", is_flag=True, help="Run every step again.")
def demo(where: Path, force: bool) -> None:
    """Run a whole chain on simulated data, without a download.

    Simulates a deposit in the layout of Norman19, then runs the same notebooks as for the real file:
    ingest, curate and split, train five models, evaluate, and rank them.
    """
    from perturbench_lamin.catalog.datasets import get_dataset
    from perturbench_lamin.chain.demo import demo_config, simulate_deposit

    click.echo("The data of this demo are SIMULATED: its metrics say nothing about biology or about the models.\n")
    raw = simulate_deposit(where / "simulated-deposit")
    click.echo(f"Simulated deposit: {raw}")
    run_benchmark(get_dataset("norman19"), demo_config(raw), Execution(str(where), force=force))
    pages = shlex.join(("perturbench-lamin", "browse", "--instance", str(where), "--out", str(where / "site")))
    click.echo(f"\nEverything as pages:  {pages}")
    click.echo("\nThese are simulated data. With the real file, downloaded once:\n")
    click.echo("  perturbench-lamin run norman19\n")


def _datasets() -> Iterator[tuple[str, str]]:
    for dataset in all_datasets().values():
        yield dataset.name, ", ".join(task.name for task in dataset.tasks)


@click.command(cls=Verb, lists=[("Datasets and their tasks, the main one first", _datasets)])
@click.argument("dataset")
@subject_options
@settings_options()
@under("Evaluation")(
    "--profile",
    type=click.Choice(list(PROFILES)),
    default="perturbench",
    show_default=True,
    help="Which metrics, by whose definitions.",
)
@execution_options
def run(dataset: str, subject: Subject, settings: dict[str, Any], profile: str, execution: Execution) -> None:
    """Run DATASET's notebooks: ingest, curate and split, train, evaluate, leaderboard.

    What the lineage says is made already, from the same notebook, code, parameters and inputs, is not made again.

    \b
    Examples:
      perturbench-lamin run norman19
      perturbench-lamin run norman19 --raw path/to/raw --model additive --model linear --seed 1 --seed 2
    """
    from perturbench_lamin.catalog.datasets import get_dataset
    from perturbench_lamin.chain.benchmark import MODELS

    config = subject.benchmark(MODELS, (1, 2), profile=profile, **settings)
    run_benchmark(get_dataset(dataset), config, execution)


@click.command(cls=Verb)
def datasets() -> None:
    """List the datasets of the catalog: their size, perturbations, tasks and source."""
    indent = " " * (NAME_WIDTH + 2)
    width = min(max(shutil.get_terminal_size().columns, NARROWEST), WIDEST)
    for dataset in all_datasets().values():
        name = f"{dataset.name:{NAME_WIDTH}}"
        for line in _about(dataset):
            click.echo(
                textwrap.fill(line, width, initial_indent=name, subsequent_indent=indent, break_on_hyphens=False)
            )
            name = " " * NAME_WIDTH


def _about(dataset: Dataset) -> Iterator[str]:
    shape = dataset.curated
    sizes = ((shape.cells, "cells"), (shape.genes, "genes"), (shape.conditions, "conditions"))
    yield ", ".join([dataset.perturbation_type, *(f"{n:,} {what}" for n, what in sizes if n is not None)])
    yield f"tasks: {', '.join(task.name for task in dataset.tasks)}"
    source = [dataset.citation, f"({dataset.accession})" if dataset.accession else ""]
    if any(source):
        yield " ".join(filter(None, source))


@click.command(cls=Verb)
@click.argument("key")
@instance_option
@click.option("--figure", type=PICTURE_OUT, metavar="OUT.png|svg|pdf", help="Draw it, too.")
def lineage(key: str, instance: str | None, figure: Path | None) -> None:
    """Show how the artifact KEY (a key or a uid) came about, back to the raw files.

    \b
    Example:
      perturbench-lamin lineage leaderboards/norman19/combine.csv --figure lineage.svg
    """
    connect(instance)
    from perturbench_lamin.lineage import artifacts
    from perturbench_lamin.lineage.graph import ancestry, describe, troubles

    graph = ancestry(artifacts.get(key))
    click.echo(describe(graph))
    for trouble in troubles(graph):
        click.secho(f"Warning: {trouble}. The run command makes it again.", fg="yellow", err=True)
    if figure:
        from perturbench_lamin.lineage.figure import draw

        draw(graph, figure)
        click.echo(f"\nDrawn: {figure}")
