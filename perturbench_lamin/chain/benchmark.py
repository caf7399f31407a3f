"""A dataset's benchmark as a chain: ingest, curate and split, train, evaluate, rank."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from perturbench_lamin.catalog.dataset import Dataset
from perturbench_lamin.catalog.outside import outside_datasets
from perturbench_lamin.chain.step import Output, Step
from perturbench_lamin.errors import InputError, some
from perturbench_lamin.lineage import keys

MODELS = ("control_mean", "perturbation_mean", "additive", "linear", "latent_additive")
CAN = (
    "Models that can: control_mean, perturbation_mean, and linear_embedding where an embedding of genes or of "
    "perturbations (the verb pretrain makes one) has them."
)
logger = logging.getLogger(__name__)

GENES = "ingest genes"
"""The name of the step that registers the gene table."""


@dataclass(frozen=True)
class BenchmarkConfig:
    """What a benchmark runs.

    Attributes:
        models: names in the model registry.
        tasks: names of the dataset's tasks, each with its own leaderboard; none named means its main one.
        seeds: one training of each seeded model a seed; the first is used for the others.
        preset: ``quick`` (small networks, minutes on a laptop) or ``published`` (the paper's hyperparameters).
        max_epochs: instead of the preset's; None leaves it. So for the next three.
        batch_size: cells in a batch.
        precision: a Lightning precision.
        devices: how many train one model.
        profile: the profile of metric definitions.
        curation: parameters of the curation notebook instead of its defaults.
        simulated: the raw files are simulated; recorded with every artifact made from them. A simulated deposit
            is known by the truth that lies beside its files, too.
        raw_folder: where raw files lie, one subfolder a dataset; None downloads them.
        accelerator: what computes.
        memory: where the expression is held.
        prefetch: how many batches are made ahead; None decides.
        gene_table: a gene table's file, or a release of Ensembl (``release-114``) that bionty downloads; None
            leaves genes unchecked.
    """

    models: tuple[str, ...] = MODELS
    tasks: tuple[str, ...] = ()
    seeds: tuple[int, ...] = (1, 2)
    preset: str = "quick"
    max_epochs: int | None = None
    batch_size: int | None = None
    precision: str | None = None
    devices: int | None = None
    profile: str = "perturbench"
    curation: Mapping[str, Any] = field(default_factory=dict)
    simulated: bool = False
    raw_folder: Path | None = None
    accelerator: str = "auto"
    memory: str = "auto"
    prefetch: int | None = None
    gene_table: Path | str | None = None

    def training(self) -> dict[str, Any]:
        """The settings of a training that decide its result: parameters of its notebook."""
        return {name: getattr(self, name) for name in ("max_epochs", "batch_size", "precision")}

    def hardware(self) -> dict[str, Any]:
        """Those that do not: a training that is finished is not repeated for them."""
        return {name: getattr(self, name) for name in ("accelerator", "memory", "prefetch")}


def benchmark_steps(dataset: Dataset, config: BenchmarkConfig, downloads: Path) -> list[Step]:
    """The steps of a dataset's benchmark.

    Args:
        dataset: from the catalog.
        config: what to run.
        downloads: where files are downloaded to when there is no folder of raw files.

    Raises:
        InputError: the folder of raw files lacks one, or a model or task is unknown.
    """
    tasks = chosen_tasks(dataset, config)
    benchmark = itertools.chain.from_iterable(_task_steps(dataset, task, config) for task in tasks)
    return [*data_steps(dataset, config, downloads), *benchmark]


def data_steps(dataset: Dataset, config: BenchmarkConfig, downloads: Path) -> list[Step]:
    """The steps that make a dataset's curated file and its splits.

    Raises:
        InputError: the folder of raw files lacks one, or a task is unknown.
    """
    ingest, curate = _ingest(dataset, config, downloads), _curate(dataset, config, chosen_tasks(dataset, config))
    return [*_genes(config), ingest, curate]


def chosen_tasks(dataset: Dataset, config: BenchmarkConfig) -> tuple[str, ...]:
    """The tasks to run, each once.

    Raises:
        InputError: the dataset has no such task.
    """
    named = config.tasks or (dataset.tasks[0].name,)
    return tuple(dict.fromkeys(dataset.task(name).name for name in named))


def models_for(dataset: Dataset, task: str, models: Sequence[str]) -> tuple[str, ...]:
    """The models that can be trained for a task, each once; logs which cannot.

    Raises:
        InputError: there is no such model or task, or none can.
    """
    from perturbench_lamin.models.registry import model_class
    from perturbench_lamin.splitting.tasks import TASKS

    named = tuple(dict.fromkeys(models))
    if not TASKS[dataset.task(task).method].asks_unseen:
        return named
    able = tuple(model for model in named if model_class(model).predicts_unseen())
    if not able:
        raise InputError(f"None of {some(named)} predicts unseen perturbations", where=f"task {task}", fix=CAN)
    if len(able) < len(named):
        left_out = some(model for model in named if model not in able)
        logger.warning("Left out of the task %s, which asks for unseen perturbations: %s. %s", task, left_out, CAN)
    return able


def trainings(config: BenchmarkConfig) -> list[tuple[str, int]]:
    """(model, seed) of every training of a task; a model without randomness is trained once.

    Raises:
        InputError: there is no such model.
    """
    from perturbench_lamin.models.registry import model_class

    return [
        (model, seed)
        for model in dict.fromkeys(config.models)
        for seed in (dict.fromkeys(config.seeds) if model_class(model).epochs is None else config.seeds[:1])
    ]


def _task_steps(dataset: Dataset, task: str, config: BenchmarkConfig) -> list[Step]:
    """Train and evaluate every model on a task, and rank them."""
    pairs = trainings(replace(config, models=models_for(dataset, task, config.models)))
    train = [train_step(dataset, task, model, seed, config) for model, seed in pairs]
    evaluate = [evaluate_step(dataset, task, model, seed, config) for model, seed in pairs]
    both = itertools.chain.from_iterable(zip(train, evaluate, strict=True))
    return [*both, leaderboard_step(dataset, task, evaluate)]


def on_task(dataset: Dataset, task: str) -> str:
    """What tells the steps of a dataset's further tasks from those of its main one."""
    return "" if task == dataset.tasks[0].name else f" on {task}"


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
    from perturbench_lamin.simulation.deposit import is_simulated

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
        params={"simulated": config.simulated or (folder is not None and is_simulated(folder, dataset.name))},
        settings={"raw_folder": str(folder.resolve()) if folder else "", "download_folder": str(downloads)},
        outputs=tuple(keys.raw(dataset.name, file.name) for file in dataset.raw_files),
        external=files,
    )


def _curate(dataset: Dataset, config: BenchmarkConfig, tasks: Sequence[str]) -> Step:
    raw = tuple(Output(f"ingest {dataset.name}", keys.raw(dataset.name, file.name)) for file in dataset.raw_files)
    return Step(
        name=f"curate {dataset.name}",
        notebook=f"curation/curate_{dataset.name}.ipynb",
        params=dict(config.curation),
        inputs={"raw": raw, **({"gene_table": Output(GENES, keys.gene_table())} if config.gene_table else {})},
        outputs=(keys.curated(dataset.name), *(keys.split(dataset.name, task) for task in tasks)),
        external=tuple(one.path for name, one in outside_datasets().items() if name == dataset.name),
    )


def curated_and_split(dataset: Dataset, task: str) -> dict[str, Output]:
    """The inputs that training, search and evaluation have in common."""
    made_by = f"curate {dataset.name}"
    return {
        "curated": Output(made_by, keys.curated(dataset.name)),
        "split": Output(made_by, keys.split(dataset.name, task)),
    }


def train_step(
    dataset: Dataset, task: str, model: str, seed: int, config: BenchmarkConfig, tuned_by: Output | None = None
) -> Step:
    """Train a model; with the configuration that a search found where ``tuned_by`` names it."""
    label = tuned(model) if tuned_by else model
    chosen = {"label": label} if tuned_by else {"preset": config.preset, **config.training()}
    return Step(
        name=f"train {label} seed {seed}{on_task(dataset, task)}",
        notebook="training/train.ipynb",
        params={
            "dataset": dataset.name,
            "task": task,
            "model": model,
            "seed": seed,
            "devices": config.devices,
            **chosen,
        },
        inputs={**curated_and_split(dataset, task), **({"configuration": tuned_by} if tuned_by else {})},
        settings=config.hardware(),
        outputs=(keys.best_checkpoint(dataset.name, task, label, seed),),
    )


def tuned(model: str) -> str:
    """What a model is called whose hyperparameters were searched."""
    return f"{model}-tuned"


def evaluate_step(dataset: Dataset, task: str, model: str, seed: int, config: BenchmarkConfig) -> Step:
    """Evaluate a training of that name."""
    on = on_task(dataset, task)
    best = Output(f"train {model} seed {seed}{on}", keys.best_checkpoint(dataset.name, task, model, seed))
    return Step(
        name=f"evaluate {model} seed {seed}{on}",
        notebook="evaluation/evaluate.ipynb",
        params={"dataset": dataset.name, "task": task, "model": model, "seed": seed, "profile": config.profile},
        inputs={**curated_and_split(dataset, task), "checkpoint": best},
        outputs=(
            keys.prediction(dataset.name, task, model, seed),
            keys.metrics(dataset.name, task, model, seed),
            keys.report(dataset.name, task, model, seed),
        ),
    )


def metrics_of(step: Step) -> Output:
    """The metrics table of a step that :func:`evaluate_step` made."""
    return Output(step.name, step.outputs[1])


def leaderboard_step(dataset: Dataset, task: str, evaluations: Sequence[Step]) -> Step:
    """Rank the models that were evaluated."""
    return Step(
        name=f"leaderboard {dataset.name} {task}",
        notebook="evaluation/leaderboard.ipynb",
        params={"dataset": dataset.name, "task": task},
        inputs={"metrics": tuple(metrics_of(step) for step in evaluations)},
        outputs=(keys.all_metrics(dataset.name, task), keys.leaderboard(dataset.name, task)),
    )
