"""The verb that runs the paper's experiments, and searches, as chains on an instance."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from perturbench_lamin.cli.chain import FOLDER, gene_table, run_steps
from perturbench_lamin.cli.options import assignments
from perturbench_lamin.cli.training_options import FILE_IN

if TYPE_CHECKING:
    from perturbench_lamin.catalog.dataset import Dataset
    from perturbench_lamin.chain.benchmark import BenchmarkConfig
    from perturbench_lamin.chain.step import Step
    from perturbench_lamin.chain.tuning import TuningConfig

TUNING = "tuning"


@click.command()
@click.argument("name")
@click.option("--dataset", help="Instead of the experiment's own; norman19 for tuning.")
@click.option("--raw", type=FOLDER, help="Folder of raw files, one subfolder a dataset, instead of the download.")
@click.option("--genes", help="Gene table: a file, or a release of Ensembl.  [default: release-114 without --raw]")
@click.option("--instance", help="A folder, or owner/name of a connected instance.  [default: this checkout's]")
@click.option("--notebooks", type=FOLDER, help="Folder with ingestion/, curation/, …  [default: this checkout]")
@click.option("--model", "models", multiple=True, help="Model to train; may be given several times.")
@click.option("--task", "tasks", multiple=True, help="Task, instead of the experiment's; may be given several times.")
@click.option("--seed", "seeds", multiple=True, type=int, help="Seed to train with; may be given several times.")
@click.option("--preset", type=click.Choice(["quick", "published"]), default="quick", show_default=True)
@click.option("--max-epochs", type=click.IntRange(1), help="Epochs at most, instead of the preset's.")
@click.option("--accelerator", default="auto", show_default=True, help="Lightning's: auto, cpu, gpu.")
@click.option("--set", "curation", multiple=True, metavar="NAME=VALUE", help="Parameter of the curation notebook.")
@click.option("--trials", default=60, show_default=True, type=click.IntRange(1), help="Of each study (tuning).")
@click.option("--jobs", default=1, show_default=True, type=click.IntRange(1), help="Trials at a time (tuning).")
@click.option("--space", type=FILE_IN, metavar="FILE.json", help="What to vary (tuning).  [default: as published]")
@click.option("--force", is_flag=True, help="Run every step again, although the lineage has it.")
@click.option("--dry-run", is_flag=True, help="Show the steps and stop.")
def experiment(
    name: str,
    dataset: str | None,
    raw: Path | None,
    genes: str | None,
    instance: str | None,
    notebooks: Path | None,
    models: tuple[str, ...],
    tasks: tuple[str, ...],
    seeds: tuple[int, ...],
    preset: str,
    max_epochs: int | None,
    accelerator: str,
    curation: tuple[str, ...],
    trials: int,
    jobs: int,
    space: Path | None,
    force: bool,
    dry_run: bool,
) -> None:
    """Run the experiment NAME: scaling, scaling-perturbations, imbalance, collapse, or tuning.

    \b
      scaling, scaling-perturbations   more data to train on, the same cells to predict (mcfaline24)
      imbalance                        perturbations spread less and more evenly over cell lines (srivatsan20)
      collapse                         rank against fit (srivatsan20)
      tuning                           search hyperparameters, evaluate the winner with further seeds (norman19)

    \b
    Examples:
      perturbench-lamin experiment scaling --raw path/to/raw --model linear --model latent_additive --preset published
      perturbench-lamin experiment tuning --dataset norman19 --model linear --trials 60 --seed 1 --seed 2
    """
    from perturbench_lamin.catalog.datasets import get_dataset
    from perturbench_lamin.chain.benchmark import MODELS, BenchmarkConfig
    from perturbench_lamin.chain.tuning import TuningConfig

    config = BenchmarkConfig(
        models=models or (("linear",) if name == TUNING else MODELS),
        tasks=tasks,
        seeds=seeds or ((1, 2, 3, 4) if name == TUNING else (1, 2)),
        preset=preset,
        max_epochs=max_epochs,
        curation=assignments(curation, "--set"),
        raw_folder=raw,
        accelerator=accelerator,
        gene_table=gene_table(genes, raw),
    )
    tuning = TuningConfig(trials, jobs, _read_space(space, config))
    chosen = get_dataset(dataset or _own_dataset(name))

    def steps(downloads: Path) -> list[Step]:
        return _steps(name, chosen, config, tuning, downloads)

    run_steps(chosen, steps, instance, notebooks, force=force, dry_run=dry_run)


def _own_dataset(name: str) -> str:
    from perturbench_lamin.chain.experiments import EXPERIMENTS
    from perturbench_lamin.errors import InputError, nearest

    if name == TUNING:
        return "norman19"
    if name not in EXPERIMENTS:
        raise InputError(f"No experiment {name!r}", where="experiment", fix=nearest(name, [*EXPERIMENTS, TUNING]))
    return EXPERIMENTS[name].dataset


def _steps(name: str, dataset: Dataset, config: BenchmarkConfig, tuning: TuningConfig, downloads: Path) -> list[Step]:
    from perturbench_lamin.chain.experiments import experiment_steps, get_experiment
    from perturbench_lamin.chain.tuning import tuning_steps

    if name == TUNING:
        return tuning_steps(dataset, config, tuning, downloads)
    return experiment_steps(get_experiment(name), dataset, config, downloads)


def _read_space(path: Path | None, config: BenchmarkConfig) -> dict[str, object]:
    """The space as plain values, once every model is seen to have it."""
    import json

    if path is None:
        return {}
    from perturbench_lamin.training.search_space import read_space

    for model in config.models:
        read_space(path, model)
    plain: dict[str, object] = json.loads(path.read_text(encoding="utf-8"))
    return plain
