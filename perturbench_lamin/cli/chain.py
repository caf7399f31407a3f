"""The verbs that work on a LaminDB instance."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from perturbench_lamin.cli.options import assignments
from perturbench_lamin.cli.progress import StepLines, interactive
from perturbench_lamin.errors import ChainError, InputError, nearest

if TYPE_CHECKING:
    from perturbench_lamin.catalog.dataset import Dataset
    from perturbench_lamin.chain.benchmark import BenchmarkConfig
    from perturbench_lamin.chain.run import StepResult
    from perturbench_lamin.chain.step import Step

ENSEMBL = "release-114"
"""The release that genes are named by where nothing else is asked for."""

FOLDER = click.Path(path_type=Path, file_okay=False)


def project_folder() -> Path:
    """The folder with the notebooks: the working directory, or the checkout that this package runs from.

    Raises:
        ChainError: neither has them.
    """
    import perturbench_lamin

    for folder in (Path.cwd(), Path(perturbench_lamin.__file__).parents[1]):
        if (folder / "ingestion").is_dir() and (folder / "training" / "train.ipynb").is_file():
            return folder
    raise ChainError("The notebooks are not here", where=Path.cwd(), fix="Run in a checkout, or give --notebooks.")


@click.command()
@click.option("--instance", "where", type=FOLDER, default=Path("demo"), show_default=True, help="Where to make it.")
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
    run_benchmark(get_dataset("norman19"), demo_config(raw), str(where), force=force)
    click.echo(f"\nEverything as pages:  perturbench-lamin browse --instance {where} --out {where / 'site'}")
    click.echo("\nThese are simulated data. With the real file, downloaded once:\n")
    click.echo("  perturbench-lamin run norman19\n")


@click.command()
@click.argument("dataset")
@click.option("--raw", type=FOLDER, help="Folder of raw files, one subfolder a dataset, instead of the download.")
@click.option("--genes", help="Gene table: a file, or a release of Ensembl.  [default: release-114 without --raw]")
@click.option("--instance", help="A folder, or owner/name of a connected instance.  [default: this checkout's]")
@click.option("--notebooks", type=FOLDER, help="Folder with ingestion/, curation/, …  [default: this checkout]")
@click.option("--model", "models", multiple=True, help="Model to train; may be given several times.")
@click.option("--task", "tasks", multiple=True, help="Task; may be given several times.  [default: the main one]")
@click.option("--seed", "seeds", multiple=True, type=int, help="Seed to train with; may be given several times.")
@click.option("--preset", type=click.Choice(["quick", "published"]), default="quick", show_default=True)
@click.option("--max-epochs", type=click.IntRange(1), help="Epochs at most, instead of the preset's.")
@click.option("--profile", default="perturbench", show_default=True, help="Profile of metric definitions.")
@click.option("--accelerator", default="auto", show_default=True, help="Lightning's: auto, cpu, gpu.")
@click.option("--set", "curation", multiple=True, metavar="NAME=VALUE", help="Parameter of the curation notebook.")
@click.option("--force", is_flag=True, help="Run every step again, although the lineage has it.")
@click.option("--dry-run", is_flag=True, help="Show the steps and stop.")
def run(
    dataset: str,
    raw: Path | None,
    genes: str | None,
    instance: str | None,
    notebooks: Path | None,
    models: tuple[str, ...],
    tasks: tuple[str, ...],
    seeds: tuple[int, ...],
    preset: str,
    max_epochs: int | None,
    profile: str,
    accelerator: str,
    curation: tuple[str, ...],
    force: bool,
    dry_run: bool,
) -> None:
    """Run DATASET's notebooks: ingest, curate and split, train, evaluate, leaderboard.

    What the lineage says is made already, from the same notebook, parameters and inputs, is not made again.

    \b
    Example:
      perturbench-lamin run norman19 --raw path/to/raw --model additive --model linear --seed 1 --seed 2
    """
    from perturbench_lamin.catalog.datasets import get_dataset
    from perturbench_lamin.chain.benchmark import MODELS, BenchmarkConfig
    from perturbench_lamin.evaluation.profiles import get_profile
    from perturbench_lamin.models.registry import model_class

    for model in models:
        model_class(model)
    get_profile(profile)
    config = BenchmarkConfig(
        models=models or MODELS,
        tasks=tasks,
        seeds=seeds or (1, 2),
        preset=preset,
        max_epochs=max_epochs,
        profile=profile,
        curation=assignments(curation, "--set"),
        raw_folder=raw,
        accelerator=accelerator,
        gene_table=gene_table(genes, raw),
    )
    run_benchmark(get_dataset(dataset), config, instance, notebooks, force=force, dry_run=dry_run)


def gene_table(genes: str | None, raw: Path | None) -> Path | str | None:
    """The file or release that was named; by default a release where raw files are downloaded too."""
    if genes:
        return genes if genes.startswith("release-") else Path(genes)
    if raw is None:
        return ENSEMBL
    click.echo("No gene table (--genes FILE): genes keep the deposit's names and are not checked against Ensembl.")
    return None


@click.command()
def datasets() -> None:
    """List the datasets of the catalog."""
    from perturbench_lamin.catalog.datasets import datasets_table

    shown = datasets_table()[["perturbation", "cells", "genes", "conditions", "tasks", "accession", "citation"]]
    click.echo(shown.to_string())


@click.command()
@click.argument("key")
@click.option("--instance", help="A folder, or owner/name of a connected instance.  [default: this checkout's]")
@click.option("--figure", type=click.Path(path_type=Path, dir_okay=False), help="Draw it: .png, .svg or .pdf.")
def lineage(key: str, instance: str | None, figure: Path | None) -> None:
    """Show how the artifact KEY (a key or a uid) came about, back to the raw files.

    \b
    Example:
      perturbench-lamin lineage leaderboards/norman19/combine.csv --figure lineage.svg
    """
    from perturbench_lamin.lineage.instance import open_instance

    open_instance(instance, project_folder()).connect()
    from perturbench_lamin.lineage import artifacts
    from perturbench_lamin.lineage.graph import ancestry, describe

    graph = ancestry(artifacts.get(key))
    click.echo(describe(graph))
    if figure:
        from perturbench_lamin.lineage.figure import draw

        draw(graph, figure)
        click.echo(f"\nDrawn: {figure}")


def run_benchmark(
    dataset: Dataset,
    config: BenchmarkConfig,
    where: str | None,
    notebooks: Path | None = None,
    *,
    force: bool = False,
    dry_run: bool = False,
) -> None:
    """Run a dataset's chain, tell how it goes, and show the leaderboard.

    Raises:
        ChainError: a step failed.
    """
    from perturbench_lamin.chain.benchmark import benchmark_steps

    def steps(downloads: Path) -> list[Step]:
        return benchmark_steps(dataset, config, downloads)

    run_steps(dataset, steps, where, notebooks, force=force, dry_run=dry_run)


def run_steps(
    dataset: Dataset,
    make: Callable[[Path], list[Step]],
    where: str | None,
    notebooks: Path | None = None,
    *,
    force: bool = False,
    dry_run: bool = False,
) -> None:
    """Run a chain about a dataset, tell how it goes, and show the tables it ends with.

    Args:
        dataset: from the catalog.
        make: makes the steps, given the folder for downloads.
        where: the instance.
        notebooks: their folder; this checkout's where None.
        force: run every step again.
        dry_run: show the steps and stop.

    Raises:
        ChainError: a step failed.
    """
    from perturbench_lamin.chain.lock import only_one
    from perturbench_lamin.chain.run import Chain, run_chain
    from perturbench_lamin.lineage.instance import instance_folder, open_instance

    notebooks = notebooks or project_folder()
    folder = instance_folder(where, notebooks)
    steps = make(folder / "raw")
    _check_notebooks(dataset, notebooks)
    if dry_run:
        for step in steps:
            click.echo(f"{step.name:40s} {step.notebook}")
        return
    with only_one(folder) as handle:
        instance = open_instance(where, notebooks)
        click.echo(f"Instance: {instance.slug} in {instance.folder}")
        chain = Chain(dataset.name, steps, instance, notebooks, handle)
        forced = [step.name for step in steps] if force else []
        results = run_chain(chain, force=forced, report=StepLines(), progress=interactive())
    _conclude(results, folder)


def _conclude(results: list[StepResult], folder: Path) -> None:
    failed = [result for result in results if result.state == "failed"]
    if failed:
        raise ChainError(
            f"{len(failed)} of {len(results)} steps failed: {failed[0].step.name}: {failed[0].problem}",
            where=failed[0].report,
            fix="The report shows the notebook up to the error. Once mended, the same command goes on from there.",
        )
    if all(result.state == "kept" for result in results):
        click.echo("\nNothing to do: the lineage has every step, from the same notebooks, parameters and inputs.")
    for result in results:
        for key in result.outputs:
            if key.startswith("leaderboards/"):
                _show_leaderboard(key, result.outputs[key], folder)
            elif key.startswith("experiments/"):
                _show_artifact(key, result.outputs[key], folder)


def _show_leaderboard(key: str, uid: str, folder: Path) -> None:
    import pandas as pd

    from perturbench_lamin.evaluation.leaderboard import to_text
    from perturbench_lamin.lineage import artifacts

    board = artifacts.get(uid)
    click.echo(f"\n{to_text(pd.read_csv(board.path)).to_string(index=False)}\n")
    click.echo(f"Leaderboard: {key} (artifact {board.uid}), file {board.path}")
    click.echo(f"How it came about:  perturbench-lamin lineage {board.uid} --instance {folder}")


def _show_artifact(key: str, uid: str, folder: Path) -> None:
    from perturbench_lamin.lineage import artifacts

    click.echo(f"\n{key} (artifact {uid}), file {artifacts.get(uid).path}")
    click.echo(f"How it came about:  perturbench-lamin lineage {uid} --instance {folder}")


def _check_notebooks(dataset: Dataset, notebooks: Path) -> None:
    if not (notebooks / "curation" / f"curate_{dataset.name}.ipynb").is_file():
        have = [path.stem.removeprefix("curate_") for path in (notebooks / "curation").glob("curate_*.ipynb")]
        raise InputError(
            f"No notebooks for {dataset.name}", where=notebooks / "curation", fix=nearest(dataset.name, have)
        )
