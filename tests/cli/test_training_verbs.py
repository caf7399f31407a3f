"""The verbs train, tune and predict, as a user calls them."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import torch
from calling import call, invoke, refuse

from perturbench_lamin.models import registry
from perturbench_lamin.splitting.io import write_split
from perturbench_lamin.training.callbacks import LastCheckpoint

sys.path.append(str(Path(__file__).resolve().parents[1] / "loading"))
from tiny_curated import Tiny, random_split, write

TINY = Tiny(noise=0.05, controls=20, n_pairs=4)
DATA = TINY.data()
ADDITIVE = ("--model", "additive", "--accelerator", "cpu")
LINEAR = ("--model", "linear", "--set", "lr=0.02", "--set", "batch_size=40", "--accelerator", "cpu")


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A curated file, a split that holds a pair out, and an additive model trained on them."""
    folder = tmp_path_factory.mktemp("files")
    write(DATA, folder / "tiny.h5ad")
    write_split(random_split(DATA, held_out=("G0+G1",)), folder / "split.csv")
    said = call("train", folder / "tiny.h5ad", "--split", folder / "split.csv", *ADDITIVE, "--out", folder / "additive")
    assert "1 epoch;" in said
    return folder


def inputs(files):
    return files / "tiny.h5ad", "--split", files / "split.csv"


def test_settings_and_hyperparameters_are_told_apart_and_the_seed_decides(files, tmp_path):
    said = call("train", *inputs(files), *LINEAR, "--max-epochs", 3, "--seed", 7, "--out", tmp_path / "run")
    assert "3 epochs; ended by max_epochs." in said
    config = json.loads((tmp_path / "run/training.json").read_text())["config"]
    assert config["hyperparameters"] == {"lr": 0.02}
    assert (config["batch_size"], config["seed"], config["max_epochs"]) == (40, 7, 3)
    again = call("train", *inputs(files), *LINEAR, "--max-epochs", 3, "--seed", 7, "--out", tmp_path / "again")
    assert again.splitlines()[1] == said.splitlines()[1]
    other = call("train", *inputs(files), *LINEAR, "--max-epochs", 3, "--seed", 8, "--out", tmp_path / "other")
    assert other.splitlines()[1] != said.splitlines()[1]


@pytest.mark.parametrize("suffix", ["json", "yaml"])
def test_a_configuration_file_and_what_overrules_it(files, tmp_path, suffix):
    file = tmp_path / f"config.{suffix}"
    plain = {"model": "linear", "max_epochs": 9, "hyperparameters": {"lr": 0.5, "wd": 0.0}}
    yaml = "model: linear\nmax_epochs: 9\nhyperparameters:\n  lr: 0.5\n  wd: 0.0\n"
    file.write_text(json.dumps(plain) if suffix == "json" else yaml)
    call("train", *inputs(files), "--config", file, "--set", "lr=0.01", "--max-epochs", 2, "--accelerator", "cpu",
         "--out", tmp_path / "run")  # fmt: skip
    config = json.loads((tmp_path / "run/training.json").read_text())["config"]
    assert config["hyperparameters"] == {"lr": 0.01, "wd": 0.0}
    assert config["max_epochs"] == 2


def test_presets(files, tmp_path):
    call("train", *inputs(files), "--model", "linear", "--preset", "quick", "--set", "wd=0.5", "--max-epochs", 1,
         "--accelerator", "cpu", "--out", tmp_path / "run")  # fmt: skip
    config = json.loads((tmp_path / "run/training.json").read_text())["config"]
    assert config["hyperparameters"] == {"lr": 0.005, "wd": 0.5, "inject_covariates": False}
    refuse("No published hyperparameters for linear tiny", "train", *inputs(files), "--model", "linear",
           "--preset", "published", "--out", tmp_path / "other")  # fmt: skip


def test_an_interrupted_training_goes_on(files, tmp_path, monkeypatch):
    words = ("train", *inputs(files), *LINEAR, "--max-epochs", 6, "--out", tmp_path / "run")
    save = LastCheckpoint.on_train_epoch_end

    def interrupted(self, trainer, module):
        save(self, trainer, module)
        if trainer.current_epoch == 2:
            raise RuntimeError("the machine is gone")

    with monkeypatch.context() as patch:
        patch.setattr(LastCheckpoint, "on_train_epoch_end", interrupted)
        with pytest.raises(RuntimeError, match="gone"):
            invoke(*words)
    assert not (tmp_path / "run/result.json").exists()
    assert "6 epochs, 3 of them before an interruption; ended by max_epochs." in call(*words)


def test_what_does_not_change_the_result_does_not_train_again(files, tmp_path):
    words = ("train", *inputs(files), *LINEAR, "--max-epochs", 2, "--precision", "32-true", "--out", tmp_path / "run")
    said = call(*words, "--memory", "disk", "--prefetch", 1)
    assert "Expression (0.00 GiB): disk, as asked for." in said
    config = json.loads((tmp_path / "run/training.json").read_text())["config"]
    assert config["precision"] == "32-true"
    assert not {"memory", "prefetch"} & set(config)
    before = (tmp_path / "run/last.ckpt").stat().st_mtime_ns
    call(*words, "--memory", "memory", "--prefetch", 0, "--resume")
    assert (tmp_path / "run/last.ckpt").stat().st_mtime_ns == before
    call(*words, "--no-resume")
    assert (tmp_path / "run/last.ckpt").stat().st_mtime_ns > before


def test_resume_insists_on_the_same_training(files, tmp_path):
    words = ("train", *inputs(files), *ADDITIVE, "--out", tmp_path / "run")
    refuse("There is no training to resume", *words, "--resume")
    call(*words)
    refuse(r"another one: config.*batch_size.* differ", *words, "--batch-size", 30, "--resume")
    call(*words, "--batch-size", 30)
    assert json.loads((tmp_path / "run/training.json").read_text())["config"]["batch_size"] == 30


def test_a_device_that_is_not_there_is_told(files, tmp_path, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    out = ("--accelerator", "gpu", "--out", tmp_path / "run")
    refuse("There is no CUDA device that torch can use", "train", *inputs(files), "--model", "linear", *out)
    assert not (tmp_path / "run").exists()
    refuse("Unknown accelerator 'gpuu'.*\n.*Did you mean gpu", "train", *inputs(files), "--model", "linear",
           "--set", "accelerator=gpuu", "--out", tmp_path / "run")  # fmt: skip
    refuse("invalid strategy name.*\n.*Change accelerator, devices, num_nodes or strategy", "train", *inputs(files),
           "--model", "linear", "--set", "strategy=pdd", "--accelerator", "cpu",
           "--out", tmp_path / "run")  # fmt: skip
    refuse("A trial trains on one device", "tune", *inputs(files), "--model", "linear", "--set", "devices=2",
           "--out", tmp_path / "run")  # fmt: skip


def test_bad_words_are_refused_before_anything_is_written(files, tmp_path):
    out = ("--out", tmp_path / "run")
    refuse("Did you mean linear", "train", *inputs(files), "--model", "linaer", *out)
    refuse(r"Neither a setting nor a hyperparameter of linear: 'lrr' \[--set\]\n  Did you mean lr", "train",
           *inputs(files), "--model", "linear", "--set", "lrr=1", *out)  # fmt: skip
    refuse("No model is named", "train", *inputs(files), *out)
    config = tmp_path / "config.json"
    config.write_text('{"model": "additive"}')
    refuse("The file is for 'additive'", "train", *inputs(files), "--model", "linear", "--config", config, *out)
    refuse("Give one of them", "train", *inputs(files), "--preset", "quick", "--config", config, *out)
    config.write_text("[1, 2]")
    refuse("Not a configuration", "train", *inputs(files), "--config", config, *out)
    config.write_text("{")
    refuse("Not readable as JSON or YAML", "train", *inputs(files), "--config", config, *out)
    assert not (tmp_path / "run").exists()


def test_a_prediction_of_the_split_is_evaluated_as_it_is(files, tmp_path):
    out = tmp_path / "additive.h5ad"
    said = call("predict", files / "additive/best.ckpt", "--curated", files / "tiny.h5ad", "--split",
                files / "split.csv", "--accelerator", "cpu", "--out", out)  # fmt: skip
    assert "16 conditions in their states" in said
    assert "Note" not in said
    about = ad.read_h5ad(out).uns["prediction"]
    assert about["curated_file"] == "tiny.h5ad"
    truth = tmp_path / "truth.h5ad"
    test = (random_split(DATA, held_out=("G0+G1",)) == "test").to_numpy()
    ad.AnnData(DATA.X[test], obs=DATA.obs[test], var=pd.DataFrame(index=list(DATA.genes))).write_h5ad(truth)
    call("evaluate", "--truth", truth, "--prediction", out, "--covariate-key", "cell_type", "--covariate-key",
         "treatment", "--out", tmp_path / "metrics.csv")  # fmt: skip
    metrics = pd.read_csv(tmp_path / "metrics.csv")
    assert metrics.loc[metrics["metric"] == "rmse_average", "value"].max() < 0.1, "the truth is additive"


def test_pairs_that_no_cell_was_under_are_predicted_from_the_controls_of_the_state(files, tmp_path):
    table, out = tmp_path / "pairs.csv", tmp_path / "pairs.h5ad"
    table.write_text("condition,cell_type,treatment\nG2+G3,K562,none\nG1,RPE1,none\n")
    words = ("predict", files / "additive/best.ckpt", "--curated", files / "tiny.h5ad", "--conditions", table)
    call(*words, "--kind", "mean", "--accelerator", "cpu", "--out", out)
    predicted = ad.read_h5ad(out)
    assert predicted.obs["condition"].astype(str).tolist() == ["G2+G3", "G1"]
    assert predicted.obs["n_cells"].tolist() == [20, 20]
    means, effects = TINY.truth()
    wanted = means["K562", "none"] + effects["G2"] + effects["G3"]
    np.testing.assert_allclose(predicted.X[0], wanted, atol=0.15)
    call(*words, "--split", files / "split.csv", "--which", "val", "--kind", "mean", "--accelerator", "cpu",
         "--out", out)  # fmt: skip
    assert ad.read_h5ad(out).obs["n_cells"].tolist() == [4, 4]
    table.write_text("condition,cell_type,treatment\nG2+H3,K562,none\n")
    refuse("does not know the perturbation 'H3'", *words, "--out", tmp_path / "none.h5ad")
    table.write_text("condition,cell_type,treatment\nG2+G3,K56,none\n")
    message = r"does not know the cell_type 'K56' \[\S*pairs.csv, K56/none\]\n  Did you mean K562"
    refuse(message, *words, "--out", tmp_path / "none.h5ad")
    refuse("Nothing says what to predict", *words[:4], "--out", tmp_path / "none.h5ad")
    assert not (tmp_path / "none.h5ad").exists()


def test_another_version_of_the_data_is_told(files, tmp_path):
    other = Tiny(noise=0.05, controls=20, n_pairs=4, seed=5).data()
    write(other, tmp_path / "other.h5ad")
    words = ("predict", files / "additive/best.ckpt", "--curated", tmp_path / "other.h5ad", "--split",
             files / "split.csv", "--accelerator", "cpu", "--out", tmp_path / "p.h5ad")  # fmt: skip
    refuse("trained on other data", *words)
    said = call(*words, "--other-data")
    assert "The model was trained on another curated file: tiny.h5ad" in said
    pairs = tmp_path / "pairs.csv"
    pairs.write_text("condition,cell_type,treatment\nG2+G3,K562,none\n")
    words = (*words[:4], "--conditions", pairs, *words[6:])
    refuse("trained on other data", *words)
    assert "another curated file" in call(*words, "--other-data")


OUTSIDE = """
from torch import nn
from perturbench_lamin.models.base import PerturbationModel
from perturbench_lamin.models.hyperparameters import GradientHyperparameters


class Shift(PerturbationModel):
    name = "shift"
    hyperparameters_type = GradientHyperparameters

    def __init__(self, hyperparameters, vocabulary):
        super().__init__(hyperparameters, vocabulary)
        self.weights = nn.Linear(len(vocabulary.perturbations), len(vocabulary.genes), bias=False)

    def predict(self, batch):
        return batch.controls + self.weights(batch.perturbations)
"""


def test_a_model_of_the_working_directory_is_trained_tuned_and_predicts(files, tmp_path, monkeypatch):
    (tmp_path / "my_models.py").write_text(OUTSIDE)
    (tmp_path / "space.json").write_text('{"lr": {"low": 0.01, "high": 0.02}}')
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(registry, "_REGISTERED", {})
    monkeypatch.setenv(registry.VARIABLE, "")
    shift = ("--model", "my_models:Shift", "--set", "batch_size=60", "--max-epochs", 1, "--accelerator", "cpu")
    call("train", *inputs(files), *shift, "--out", "run")
    assert json.loads((tmp_path / "run/training.json").read_text())["config"]["model"] == "shift"
    call("tune", *inputs(files), *shift, "--space", "space.json", "--trials", 1, "--search-only", "--jobs", 2,
         "--out", "study")  # fmt: skip
    monkeypatch.setattr(registry, "_REGISTERED", {})
    monkeypatch.setenv(registry.VARIABLE, "")
    words = ("predict", "run/best.ckpt", "--curated", *inputs(files), "--accelerator", "cpu", "--out", "p.h5ad")
    refuse("shift", *words)
    call(*words, "--model", "my_models:Shift")
    refuse("Cannot import the model", "train", *inputs(files), "--model", "my_models:Nothing", "--out", "none")
    refuse("Cannot import the model", "train", *inputs(files), "--model", "nowhere:Shift", "--out", "none")
    assert not (tmp_path / "none").exists()


def test_a_rank_that_cannot_be_had_is_told_before_anything_is_trained(files, tmp_path):
    split = random_split(DATA, held_out=("G0+G1",))
    perturbed = DATA.obs["condition"].astype(str) != "control"
    split[perturbed & (split == "val")] = "train"
    write_split(split, tmp_path / "split.csv")
    words = ("tune", files / "tiny.h5ad", "--split", tmp_path / "split.csv", "--model", "linear", "--trials", 1)
    refuse(r"The rank is undefined.*\n.*--rank-weight 0", *words, "--out", tmp_path / "study")
    assert not (tmp_path / "study").exists()


def test_tune_ends_with_the_winner_on_test(files, tmp_path):
    out = tmp_path / "study"
    words = ("tune", *inputs(files), "--model", "linear", "--max-epochs", 2, "--set", "batch_size=60", "--trials", 2,
             "--accelerator", "cpu", "--test-seed", 1, "--test-seed", 2, "--out", out)  # fmt: skip
    said = call(*words)
    assert "2 complete trials. The best:" in said
    assert "On test, mean ± standard deviation over 2 seeds:" in said
    made = {path.name for path in out.iterdir() if not path.name.startswith(".")}
    assert made == {"study.journal", "trials", "trials.csv", "best.json", "study.png", "winner", "winner.csv"}
    trials = pd.read_csv(out / "trials.csv")
    assert {"lr", "wd"} <= set(trials.columns)
    assert set(pd.read_csv(out / "winner.csv")["n_seeds"]) == {2}
    before = (out / "trials.csv").read_bytes()
    assert call(*words) == said, "again, nothing is to be done"
    assert (out / "trials.csv").read_bytes() == before
    assert call(*words, "--memory", "disk", "--prefetch", 1) == said, "the same search"
    call("train", *inputs(files), "--config", out / "best.json", "--seed", 5, "--out", tmp_path / "best")
    refuse("another search: training", *words, "--set", "batch_size=61")


def test_the_space_of_a_search_may_be_given(files, tmp_path):
    space = tmp_path / "space.json"
    space.write_text('{"lr": {"low": 0.01, "high": 0.02}, "inject_covariates": [true, false]}')
    words = ("tune", *inputs(files), "--model", "linear", "--max-epochs", 1, "--trials", 1, "--search-only",
             "--accelerator", "cpu", "--space", space)  # fmt: skip
    said = call(*words, "--out", tmp_path / "study")
    assert "On test" not in said
    assert pd.read_csv(tmp_path / "study/trials.csv").loc[0, "lr"] <= 0.02
    refuse("computed in closed form", "tune", *inputs(files), "--model", "additive", "--out", tmp_path / "other")
    space.write_text('{"rl": [1]}')
    refuse(r"linear has no hyperparameter 'rl'", *words, "--out", tmp_path / "other")
    space.write_text('{"lr": {"low": 2, "high": 1}}')
    refuse("Not a range for 'lr'", *words, "--out", tmp_path / "other")
    assert not (tmp_path / "other").exists()
