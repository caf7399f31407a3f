from __future__ import annotations

from pathlib import Path

import pytest

from perturbench_lamin.catalog.datasets import get_dataset
from perturbench_lamin.chain.benchmark import MODELS, BenchmarkConfig, benchmark_steps, train_step
from perturbench_lamin.chain.step import Output, fingerprint, in_order, require_parameters
from perturbench_lamin.errors import InputError
from perturbench_lamin.models.registry import MODELS as REGISTRY
from perturbench_lamin.simulation.config import SimulationConfig
from perturbench_lamin.simulation.deposit import TRUTH_NAME
from perturbench_lamin.simulation.norman19 import simulate_norman19
from perturbench_lamin.training.config import SAME_RESULT


def test_every_stage_reads_what_the_one_before_made(tmp_path):
    steps = benchmark_steps(get_dataset("norman19"), BenchmarkConfig(seeds=(1, 2)), tmp_path)
    names = [step.name for step in in_order(steps)]
    assert names[:2] == ["ingest norman19", "curate norman19"]
    assert names[-1] == "leaderboard norman19 combine"
    assert "train linear seed 2" in names
    assert "train additive seed 2" not in names, "a model without randomness is trained once"
    by_name = {step.name: step for step in steps}
    evaluate = by_name["evaluate linear seed 2"]
    assert evaluate.needs() == {"curate norman19", "train linear seed 2"}
    assert evaluate.inputs["checkpoint"].key == by_name["train linear seed 2"].outputs[0]
    assert len(by_name["leaderboard norman19 combine"].inputs["metrics"]) == len([n for n in names if "evaluate" in n])


def test_the_default_models_are_in_the_registry():
    assert set(MODELS) <= set(REGISTRY)


def test_naming_a_model_twice_trains_it_once(tmp_path):
    config = BenchmarkConfig(models=("linear", "linear"), seeds=(1,))
    steps = benchmark_steps(get_dataset("norman19"), config, tmp_path)
    assert [step.name for step in steps if step.name.startswith("train")] == ["train linear seed 1"]


def test_a_seed_given_twice_trains_once(tmp_path):
    config = BenchmarkConfig(models=("linear",), seeds=(3, 3))
    steps = benchmark_steps(get_dataset("norman19"), config, tmp_path)
    assert [step.name for step in in_order(steps) if step.name.startswith("train")] == ["train linear seed 3"]


def test_only_what_decides_a_trainings_result_makes_it_run_again(tmp_path):
    notebook = Path(__file__).resolve().parents[2] / "training/train.ipynb"

    def mark(**changes):
        config = BenchmarkConfig(models=("linear",), seeds=(1,), **changes)
        step = train_step(get_dataset("norman19"), "combine", "linear", 1, config)
        require_parameters(step, notebook)
        assert step.params.keys().isdisjoint(step.settings)
        return fingerprint(step, notebook, step.params)

    same = ({"accelerator": "cpu"}, {"memory": "disk"}, {"prefetch": 0})
    other = ({"max_epochs": 3}, {"batch_size": 50}, {"precision": "16-mixed"}, {"devices": 2}, {"preset": "published"})
    assert {mark(**changes) for changes in same} == {mark()}
    assert len({mark(), *(mark(**changes) for changes in other)}) == 1 + len(other)
    assert set(SAME_RESULT) <= BenchmarkConfig().hardware().keys()


def test_a_folder_without_the_raw_file_is_refused_before_anything_runs(tmp_path):
    with pytest.raises(InputError, match=r"A raw file is missing.*NormanWeissman2019_filtered\.h5ad"):
        benchmark_steps(get_dataset("norman19"), BenchmarkConfig(raw_folder=tmp_path), tmp_path)


def test_a_simulated_deposit_is_known_by_the_truth_beside_it(tmp_path):
    config = BenchmarkConfig(raw_folder=tmp_path)
    path = simulate_norman19(tmp_path, SimulationConfig(n_cells=50, n_genes=20, n_singles=3, n_pairs=1))
    assert benchmark_steps(get_dataset("norman19"), config, tmp_path)[0].params == {"simulated": True}
    (path.parent / TRUTH_NAME).unlink()
    assert benchmark_steps(get_dataset("norman19"), config, tmp_path)[0].params == {"simulated": False}


def test_a_gene_table_is_registered_first_and_read_by_curation(tmp_path):
    table = tmp_path / "genes.csv"
    table.write_text("ENSG00000105610,KLF1,1,1000,protein_coding\n")
    steps = benchmark_steps(get_dataset("norman19"), BenchmarkConfig(gene_table=table), tmp_path)
    genes, curate = steps[0], steps[2]
    assert genes.external == (table,)
    assert curate.inputs["gene_table"] == Output(genes.name, genes.outputs[0])
    release = benchmark_steps(get_dataset("norman19"), BenchmarkConfig(gene_table="release-114"), tmp_path)[0]
    assert (release.params, release.external) == ({"release": "release-114"}, ())
    with pytest.raises(InputError, match="No such file"):
        benchmark_steps(get_dataset("norman19"), BenchmarkConfig(gene_table=tmp_path / "none.csv"), tmp_path)


def test_models_that_cannot_predict_the_unseen_are_left_out_of_that_task_and_named(tmp_path, caplog):
    norman = get_dataset("norman19")
    steps = benchmark_steps(norman, BenchmarkConfig(tasks=("combine", "unseen"), seeds=(1,)), tmp_path)
    trained = [step.name for step in steps if step.name.startswith("train") and step.name.endswith("on unseen")]
    assert trained == ["train control_mean seed 1 on unseen", "train perturbation_mean seed 1 on unseen"]
    assert len([step for step in steps if step.name.startswith("train")]) == len(MODELS) + 2
    assert "Left out of the task unseen" in caplog.text
    assert "additive, linear, latent_additive. Models that can: control_mean" in caplog.text
    named = BenchmarkConfig(models=("linear_embedding", "linear"), tasks=("unseen",))
    assert {step.params["model"] for step in benchmark_steps(norman, named, tmp_path) if "model" in step.params} == {
        "linear_embedding"
    }
    with pytest.raises(InputError, match=r"None of linear predicts unseen.*\n.*pretrain"):
        benchmark_steps(norman, BenchmarkConfig(models=("linear",), tasks=("unseen",)), tmp_path)
