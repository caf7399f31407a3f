"""A search as a chain: ingest, curate and split, search, train the winner with further seeds, evaluate, rank."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from perturbench_lamin.catalog.dataset import Dataset
from perturbench_lamin.chain.benchmark import (
    BenchmarkConfig,
    chosen_tasks,
    curated_and_split,
    data_steps,
    evaluate_step,
    leaderboard_step,
    models_for,
    on_task,
    train_step,
    tuned,
)
from perturbench_lamin.chain.step import Output, Step
from perturbench_lamin.lineage import keys


@dataclass(frozen=True)
class TuningConfig:
    """What a search in a chain tries.

    Attributes:
        trials: of each study.
        jobs: trials at a time.
        space: hyperparameter → range or values, as in a file; none named means the published space.
        pruner: ends hopeless trials.
    """

    trials: int = 60
    jobs: int = 1
    space: Mapping[str, Any] = field(default_factory=dict)
    pruner: str = "median"


def tuning_steps(dataset: Dataset, config: BenchmarkConfig, tuning: TuningConfig, downloads: Path) -> list[Step]:
    """The steps of a search for each model and task, and of its winner with every seed.

    Args:
        dataset: from the catalog.
        config: models, tasks, seeds of the winners, and the training settings.
        tuning: the searches.
        downloads: where files are downloaded to when there is no folder of raw files.

    Raises:
        InputError: the folder of raw files lacks one, or a name is unknown.
    """
    studies = [_study(dataset, task, config, tuning) for task in chosen_tasks(dataset, config)]
    return [*data_steps(dataset, config, downloads), *itertools.chain.from_iterable(studies)]


def _study(dataset: Dataset, task: str, config: BenchmarkConfig, tuning: TuningConfig) -> list[Step]:
    steps, evaluations = [], []
    seeds = tuple(dict.fromkeys(config.seeds))
    for model in models_for(dataset, task, config.models):
        search = _tune(dataset, task, model, config, tuning)
        best = Output(search.name, keys.study_best(dataset.name, task, model))
        winners = [train_step(dataset, task, model, seed, config, best) for seed in seeds]
        scored = [evaluate_step(dataset, task, tuned(model), seed, config) for seed in seeds]
        steps += [search, *winners, *scored]
        evaluations += scored
    return [*steps, leaderboard_step(dataset, task, evaluations)]


def _tune(dataset: Dataset, task: str, model: str, config: BenchmarkConfig, tuning: TuningConfig) -> Step:
    return Step(
        name=f"tune {model}{on_task(dataset, task)}",
        notebook="training/tune.ipynb",
        params={
            "dataset": dataset.name,
            "task": task,
            "model": model,
            "preset": config.preset,
            **config.training(),
            "trials": tuning.trials,
            "jobs": tuning.jobs,
            "space": dict(tuning.space),
            "pruner": tuning.pruner,
        },
        inputs=curated_and_split(dataset, task),
        settings=config.hardware(),
        outputs=tuple(
            key(dataset.name, task, model) for key in (keys.study_journal, keys.study_trials, keys.study_best)
        ),
    )
