"""The experiments of the PerturBench paper as chains: several tasks or models, and one figure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType

from perturbench_lamin.catalog.dataset import Dataset
from perturbench_lamin.chain.benchmark import (
    BenchmarkConfig,
    benchmark_steps,
    chosen_tasks,
    curated_and_split,
    metrics_of,
)
from perturbench_lamin.chain.step import Output, Step
from perturbench_lamin.errors import InputError, nearest
from perturbench_lamin.lineage import keys


@dataclass(frozen=True)
class Experiment:
    """An experiment.

    Attributes:
        name: what it is called by.
        dataset: the dataset it is made on.
        tasks: its tasks, in the order of the figure; empty for the dataset's main one.
        notebook: draws the figure.
        summary: one sentence.
    """

    name: str
    dataset: str
    tasks: tuple[str, ...]
    notebook: str
    summary: str


EXPERIMENTS: Mapping[str, Experiment] = MappingProxyType(
    {
        experiment.name: experiment
        for experiment in (
            Experiment(
                "scaling",
                "mcfaline24",
                ("scaling-small", "scaling-medium", "scaling-full"),
                "evaluation/scaling.ipynb",
                "More covariate states to train on, the same cells to predict.",
            ),
            Experiment(
                "scaling-perturbations",
                "mcfaline24",
                ("scaling-perturbations-small", "scaling-perturbations-medium", "scaling-perturbations-full"),
                "evaluation/scaling.ipynb",
                "More perturbations to train on, the same cells to predict.",
            ),
            Experiment(
                "imbalance",
                "srivatsan20",
                ("balance-70", "balance-80", "balance-90", "balance-100"),
                "evaluation/imbalance.ipynb",
                "Perturbations spread more and more evenly over the cell lines.",
            ),
            Experiment(
                "collapse",
                "srivatsan20",
                (),
                "evaluation/collapse.ipynb",
                "Rank against fit: a model that predicts the same for all fits well and ranks like chance.",
            ),
        )
    }
)


def get_experiment(name: str) -> Experiment:
    """The experiment of that name.

    Raises:
        InputError: there is none.
    """
    if name not in EXPERIMENTS:
        raise InputError(f"No experiment {name!r}", where="experiment", fix=nearest(name, EXPERIMENTS))
    return EXPERIMENTS[name]


def experiment_steps(experiment: Experiment, dataset: Dataset, config: BenchmarkConfig, downloads: Path) -> list[Step]:
    """The steps of an experiment: the benchmark of each of its tasks, and the figure.

    Args:
        experiment: which.
        dataset: from the catalog.
        config: models, seeds and training settings; its tasks, where it names some, count instead of the
            experiment's.
        downloads: where files are downloaded to when there is no folder of raw files.

    Raises:
        InputError: the folder of raw files lacks one, or a name is unknown.
    """
    config = replace(config, tasks=config.tasks or experiment.tasks)
    tasks = chosen_tasks(dataset, config)
    steps = benchmark_steps(dataset, config, downloads)
    evaluations = [step for step in steps if step.notebook == "evaluation/evaluate.ipynb"]
    figure = Step(
        name=f"{experiment.name} {dataset.name}",
        notebook=experiment.notebook,
        params={"dataset": dataset.name, "experiment": experiment.name, "tasks": list(tasks)},
        inputs={"metrics": tuple(metrics_of(step) for step in evaluations), **_data(experiment, dataset, tasks)},
        outputs=(
            keys.experiment(dataset.name, experiment.name),
            keys.experiment_figure(dataset.name, experiment.name),
        ),
    )
    return [*steps, figure]


def _data(experiment: Experiment, dataset: Dataset, tasks: Sequence[str]) -> dict[str, Output | tuple[Output, ...]]:
    """The curated file and the splits, for an experiment whose tasks differ in what they train on."""
    if not experiment.tasks:
        return {}
    found = [curated_and_split(dataset, task) for task in tasks]
    return {"curated": found[0]["curated"], "splits": tuple(data["split"] for data in found)}
