"""The verb that runs the paper's experiments, and searches, as chains on an instance."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from perturbench_lamin.chain.experiments import EXPERIMENTS
from perturbench_lamin.cli.chain_options import Execution, Subject, execution_options, subject_options
from perturbench_lamin.cli.command import Verb, under
from perturbench_lamin.cli.paths import FILE_IN
from perturbench_lamin.cli.steps import run_steps
from perturbench_lamin.cli.training_options import settings_options

if TYPE_CHECKING:
    from perturbench_lamin.catalog.dataset import Dataset
    from perturbench_lamin.chain.benchmark import BenchmarkConfig
    from perturbench_lamin.chain.step import Step
    from perturbench_lamin.chain.tuning import TuningConfig

TUNING = "tuning"
TUNING_DATASET = "norman19"

_search = under(f"Search (of {TUNING} alone)")


def _experiments() -> Iterator[tuple[str, str]]:
    for experiment in EXPERIMENTS.values():
        yield experiment.name, f"{experiment.summary} ({experiment.dataset})"
    yield TUNING, f"Search hyperparameters, evaluate the winner with further seeds. ({TUNING_DATASET})"


@click.command(cls=Verb, lists=[("Experiments", _experiments)])
@click.argument("name")
@under("Data")("--dataset", metavar="NAME", help="Instead of the experiment's own.")
@subject_options
@settings_options()
@_search("--trials", metavar="N", default=60, show_default=True, type=click.IntRange(1), help="Of each study.")
@_search("--jobs", metavar="N", default=1, show_default=True, type=click.IntRange(1), help="Trials at a time.")
@_search("--space", type=FILE_IN, metavar="FILE.json", help="What to vary.  [default: the published space]")
@execution_options
def experiment(
    name: str,
    dataset: str | None,
    subject: Subject,
    settings: dict[str, Any],
    trials: int,
    jobs: int,
    space: Path | None,
    execution: Execution,
) -> None:
    """Run the experiment NAME, of those listed below, on an instance: benchmarks of several tasks, and a figure.

    \b
    Examples:
      perturbench-lamin experiment scaling --raw path/to/raw --model linear --model latent_additive --preset published
      perturbench-lamin experiment tuning --dataset norman19 --model linear --trials 60 --seed 1 --seed 2
    """
    from perturbench_lamin.catalog.datasets import get_dataset
    from perturbench_lamin.chain.benchmark import MODELS
    from perturbench_lamin.chain.tuning import TuningConfig

    chosen = get_dataset(dataset or _own_dataset(name))
    models, seeds = (("linear",), (1, 2, 3, 4)) if name == TUNING else (MODELS, (1, 2))
    config = subject.benchmark(models, seeds, **settings)
    tuning = TuningConfig(trials, jobs, _read_space(space, config))
    run_steps(chosen, lambda downloads: _steps(name, chosen, config, tuning, downloads), execution)


def _own_dataset(name: str) -> str:
    from perturbench_lamin.errors import InputError, nearest

    if name == TUNING:
        return TUNING_DATASET
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
