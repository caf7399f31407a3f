"""A dataset's benchmark as a chain: ingest, curate and split, train, evaluate, rank."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from perturbench_lamin.catalog.dataset import Dataset
from perturbench_lamin.chain.step import Output, Step
from perturbench_lamin.errors import InputError
from perturbench_lamin.lineage import keys

MODELS = ("control_mean", "perturbation_mean", "additive", "linear", "latent_additive")
GENES = "ingest genes"
"""The name of the step that registers the gene table."""

SEEDED = frozenset({"linear", "latent_additive"})
"""Models whose result depends on the seed; the others are trained once."""


@dataclass(frozen=True)
class BenchmarkConfig:
    """What a benchmark runs.

    Attributes:
        models: names in the model registry.
        seeds: one training of each seeded model a seed; the first is used for the others.
        preset: ``quick`` (small networks, minutes on a laptop) or ``published`` (the paper's hyperparameters).
        max_epochs: instead of the preset's; None leaves it.
        profile: the profile of metric definitions.
        curation: parameters of the curation notebook instead of its defaults.
        simulated: the raw files are simulated; recorded with every artifact made from them.
        raw_folder: where raw files lie, one subfolder a dataset; None downloads them.
        accelerator: Lightning's choice of hardware.
        gene_table: a gene table's file, or a release of Ensembl (``release-114``) that bionty downloads; None
            leaves genes unchecked.
    """

    models: tuple[str, ...] = MODELS
    seeds: tuple[int, ...] = (1, 2)
    preset: str = "quick"
    max_epochs: int | None = None
    profile: str = "perturbench"
    curation: Mapping[str, Any] = field(default_factory=dict)
    simulated: bool = False
    raw_folder: Path | None = None
    accelerator: str = "auto"
    gene_table: Path | str | None = None


def benchmark_steps(dataset: Dataset, config: BenchmarkConfig, downloads: Path) -> list[Step]:
    """The steps of a dataset's benchmark.

    Args:
        dataset: from the catalog.
        config: what to run.
        downloads: where files are downloaded to when there is no folder of raw files.

    Raises:
        InputError: the folder of raw files lacks one.
    """
    task = dataset.tasks[0].name
    ingest, curate = _ingest(dataset, config, downloads), _curate(dataset, config, task)
    trainings = [
        (model, seed)
        for model in dict.fromkeys(config.models)
        for seed in (config.seeds if model in SEEDED else config.seeds[:1])
    ]
    train = [_train(dataset, task, model, seed, config) for model, seed in trainings]
    evaluate = [_evaluate(dataset, task, model, seed, config) for model, seed in trainings]
    pairs = itertools.chain.from_iterable(zip(train, evaluate, strict=True))
    return [*_genes(config), ingest, curate, *pairs, _leaderboard(dataset, task, evaluate)]


def _genes(config: BenchmarkConfig) -> list[Step]:
    """The step that registers the gene table, where there is one."""
    table = config.gene_table
    if table is None:
        return []
    file = table.resolve() if isinstance(table, Path) else None
    if file and not file.is_file():
        raise InputError("No such file", where=file, fix="Name a gene annotation.")
    return [
        Step(
            name=GENES,
            notebook="ingestion/ingestion_genes.ipynb",
            params={} if file else {"release": str(table)},
            settings={"gene_file": str(file or "")},
            outputs=(keys.gene_table(),),
            external=(file,) if file else (),
        )
    ]


def _ingest(dataset: Dataset, config: BenchmarkConfig, downloads: Path) -> Step:
    folder = config.raw_folder
    files = tuple((folder / dataset.name / file.name).resolve() for file in dataset.raw_files) if folder else ()
    for path in files:
        if not path.is_file():
            raise InputError(
                "A raw file is missing",
                where=path,
                fix="The folder of raw files has one subfolder a dataset; without --raw they are downloaded.",
            )
    return Step(
        name=f"ingest {dataset.name}",
        notebook=f"ingestion/ingestion_{dataset.name}.ipynb",
        params={"simulated": config.simulated},
        settings={"raw_folder": str(folder.resolve()) if folder else "", "download_folder": str(downloads)},
        outputs=tuple(keys.raw(dataset.name, file.name) for file in dataset.raw_files),
        external=files,
    )


def _curate(dataset: Dataset, config: BenchmarkConfig, task: str) -> Step:
    raw = tuple(Output(f"ingest {dataset.name}", keys.raw(dataset.name, file.name)) for file in dataset.raw_files)
    return Step(
        name=f"curate {dataset.name}",
        notebook=f"curation/curate_{dataset.name}.ipynb",
        params=dict(config.curation),
        inputs={"raw": raw, **({"gene_table": Output(GENES, keys.gene_table())} if config.gene_table else {})},
        outputs=(keys.curated(dataset.name), keys.split(dataset.name, task)),
    )


def _data(dataset: Dataset, task: str) -> dict[str, Output]:
    made_by = f"curate {dataset.name}"
    return {
        "curated": Output(made_by, keys.curated(dataset.name)),
        "split": Output(made_by, keys.split(dataset.name, task)),
    }


def _train(dataset: Dataset, task: str, model: str, seed: int, config: BenchmarkConfig) -> Step:
    return Step(
        name=f"train {model} seed {seed}",
        notebook="training/train.ipynb",
        params={
            "dataset": dataset.name,
            "task": task,
            "model": model,
            "seed": seed,
            "preset": config.preset,
            "max_epochs": config.max_epochs,
        },
        inputs=_data(dataset, task),
        settings={"accelerator": config.accelerator},
        outputs=(keys.best_checkpoint(dataset.name, task, model, seed),),
    )


def _evaluate(dataset: Dataset, task: str, model: str, seed: int, config: BenchmarkConfig) -> Step:
    best = Output(f"train {model} seed {seed}", keys.best_checkpoint(dataset.name, task, model, seed))
    return Step(
        name=f"evaluate {model} seed {seed}",
        notebook="evaluation/evaluate.ipynb",
        params={"dataset": dataset.name, "task": task, "model": model, "seed": seed, "profile": config.profile},
        inputs={**_data(dataset, task), "checkpoint": best},
        outputs=(
            keys.prediction(dataset.name, task, model, seed),
            keys.metrics(dataset.name, task, model, seed),
        ),
    )


def _leaderboard(dataset: Dataset, task: str, evaluations: list[Step]) -> Step:
    metrics = tuple(Output(step.name, step.outputs[1]) for step in evaluations)
    return Step(
        name=f"leaderboard {dataset.name} {task}",
        notebook="evaluation/leaderboard.ipynb",
        params={"dataset": dataset.name, "task": task},
        inputs={"metrics": metrics},
        outputs=(keys.all_metrics(dataset.name, task), keys.leaderboard(dataset.name, task)),
    )
