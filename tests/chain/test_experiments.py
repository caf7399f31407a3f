from __future__ import annotations

from dataclasses import replace

import pytest

from perturbench_lamin.catalog.datasets import DATASETS, get_dataset
from perturbench_lamin.chain.benchmark import BenchmarkConfig, benchmark_steps
from perturbench_lamin.chain.experiments import EXPERIMENTS, experiment_steps, get_experiment
from perturbench_lamin.chain.step import Output, in_order
from perturbench_lamin.chain.tuning import TuningConfig, tuning_steps
from perturbench_lamin.errors import InputError

CONFIG = BenchmarkConfig(models=("additive", "linear"), seeds=(1, 2))


def names(steps):
    return [step.name for step in in_order(steps)]


def test_every_experiment_is_on_tasks_that_its_dataset_has():
    for experiment in EXPERIMENTS.values():
        dataset = DATASETS[experiment.dataset]
        assert [dataset.task(name).name for name in experiment.tasks] == list(experiment.tasks)
    with pytest.raises(InputError, match="Did you mean scaling"):
        get_experiment("scalin")


def test_several_tasks_share_the_data_and_have_a_leaderboard_each(tmp_path):
    dataset = get_dataset("norman19")
    one = benchmark_steps(dataset, CONFIG, tmp_path)
    two = benchmark_steps(dataset, replace(CONFIG, tasks=("combine", "combine-inverse", "combine")), tmp_path)
    made = names(two)
    assert [name for name in made if not name.endswith("combine-inverse")] == names(one)
    assert sum(name.startswith(("ingest", "curate")) for name in made) == 2
    assert "train linear seed 2 on combine-inverse" in made
    assert made[-1] == "leaderboard norman19 combine-inverse"
    curate = next(step for step in two if step.name == "curate norman19")
    assert set(curate.outputs[1:]) == {"splits/norman19/combine.csv", "splits/norman19/combine-inverse.csv"}
    evaluate = next(step for step in two if step.name == "evaluate linear seed 2 on combine-inverse")
    assert evaluate.needs() == {"curate norman19", "train linear seed 2 on combine-inverse"}
    with pytest.raises(InputError, match="Did you mean combine"):
        benchmark_steps(dataset, replace(CONFIG, tasks=("combin",)), tmp_path)


@pytest.mark.parametrize("name", list(EXPERIMENTS))
def test_the_figure_reads_the_metrics_of_every_task_model_and_seed(name, tmp_path):
    experiment = EXPERIMENTS[name]
    dataset = get_dataset(experiment.dataset)
    steps = experiment_steps(experiment, dataset, CONFIG, tmp_path)
    figure = in_order(steps)[-1]
    assert figure.notebook == experiment.notebook
    tasks = experiment.tasks or (dataset.tasks[0].name,)
    assert figure.params["tasks"] == list(tasks)
    assert len(figure.inputs["metrics"]) == 3 * len(tasks)
    assert figure.outputs == (f"experiments/{dataset.name}/{name}.csv", f"experiments/{dataset.name}/{name}.png")
    splits = [output.key for output in figure.inputs.get("splits", ())]
    assert splits == [f"splits/{dataset.name}/{task}.csv" for task in experiment.tasks]


def test_a_search_comes_before_its_winner_which_has_a_name_of_its_own(tmp_path):
    dataset = get_dataset("norman19")
    config = replace(CONFIG, models=("linear",), seeds=(1, 2, 2), max_epochs=7, batch_size=50, memory="disk")
    steps = {step.name: step for step in in_order(tuning_steps(dataset, config, TuningConfig(trials=3), tmp_path))}
    assert list(steps)[:3] == ["ingest norman19", "curate norman19", "tune linear"]
    assert steps["tune linear"].params["trials"] == 3
    assert steps["tune linear"].params["max_epochs"] == 7
    assert steps["tune linear"].params["batch_size"] == 50
    assert steps["tune linear"].settings["memory"] == "disk"
    train = steps["train linear-tuned seed 2"]
    assert train.inputs["configuration"] == Output("tune linear", "studies/norman19/combine/linear/best.json")
    assert train.params["model"] == "linear"
    assert "batch_size" not in train.params, "the study's"
    assert train.settings["memory"] == "disk"
    assert train.params["label"] == "linear-tuned"
    evaluate = steps["evaluate linear-tuned seed 2"]
    assert evaluate.inputs["checkpoint"].key == train.outputs[0]
    assert len(steps["leaderboard norman19 combine"].inputs["metrics"]) == 2
