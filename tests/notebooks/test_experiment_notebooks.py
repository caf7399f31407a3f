"""The notebooks of a search, of the paper's experiments and of an embedding, run as a chain runs them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import scgpt_stand_in
import torch

from perturbench_lamin.files import sha256
from perturbench_lamin.models.embedding_file import read_embedding
from perturbench_lamin.training.checkpoint import load_model

pytestmark = pytest.mark.chain

ROOT = Path(__file__).resolve().parents[2]
RUNNER = Path(__file__).with_name("run_experiments.py")


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    """What the runner says of the instance, once every notebook has run."""
    folder = tmp_path_factory.mktemp("experiments")
    environment = {variable: value for variable, value in os.environ.items() if not variable.startswith("LAMIN_")}
    environment["LAMIN_SETTINGS_DIR"] = str(folder / "settings")
    command = [sys.executable, str(RUNNER), str(folder / "instance"), str(ROOT)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment, cwd=folder)
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout.split("TOLD")[1])
    assert set(said["states"].values()) == {"done"}, said["problems"]
    return said


def table(told, key):
    return pd.read_csv(told["artifacts"][key]["path"], float_precision="round_trip")


def test_a_study_is_one_artifact_with_its_trials_beside_it(told):
    trials = table(told, "studies/norman19/transfer/linear/trials.csv")
    assert trials["state"].tolist() == ["complete"] * 3
    assert trials["lr"].between(0.001, 0.1).all()
    features = told["artifacts"]["studies/norman19/transfer/linear/study.journal"]["features"]
    assert features["n_trials"] == 3
    assert features["objective"] == trials["objective"].min()
    best = json.loads(Path(told["artifacts"]["studies/norman19/transfer/linear/best.json"]["path"]).read_text())
    assert best["hyperparameters"]["lr"] == trials.loc[trials["objective"].idxmin(), "lr"]
    assert told["inputs"]["training/tune.ipynb"] == ["curated/norman19.h5ad", "splits/norman19/transfer.csv"]


def test_the_winner_is_trained_with_what_the_study_found_under_a_name_of_its_own(told):
    assert told["inputs"]["training/train.ipynb linear-tuned"] == [
        "curated/norman19.h5ad",
        "splits/norman19/transfer.csv",
        "studies/norman19/transfer/linear/best.json",
    ]
    (key,) = [key for key in told["artifacts"] if key.startswith("models/norman19/transfer/linear-tuned/")]
    assert key.startswith("models/norman19/transfer/linear-tuned/seed7/")
    features = told["artifacts"][key]["features"]
    assert (features["model"], features["preset"], features["seed"]) == ("linear-tuned", "tuned", 7)
    metrics = table(told, "metrics/norman19/transfer/linear-tuned/seed7.csv")
    assert set(metrics["model"]) == {"linear-tuned"}


def test_an_embedding_that_a_hyperparameter_names_is_an_input_of_the_training(told):
    made = [f"embeddings/norman19/{what}.npz" for what in ("genes", "perturbations")]
    assert told["inputs"]["training/pretrain.ipynb"] == ["curated/norman19.h5ad", "splits/norman19/transfer.csv"]
    assert told["trainings"]["linear_embedding"] == [
        "curated/norman19.h5ad",
        made[1],
        "splits/norman19/transfer.csv",
    ]
    assert told["artifacts"][made[0]]["features"]["dataset"] == "norman19"
    (key,) = [key for key in told["artifacts"] if key.startswith("models/norman19/transfer/linear_embedding/seed1/")]
    provenance = load_model(told["artifacts"][key]["path"])[1].provenance
    path = told["artifacts"][made[1]]["path"]
    assert provenance["perturbation_embedding_key"] == made[1]
    assert provenance["perturbation_embedding_sha256"] == sha256(path)
    about = read_embedding(path).about
    assert about["curated_hash"] == provenance["curated_hash"]
    assert about["split_uid"] == provenance["split_uid"]
    assert told["pictures"]["training/pretrain.ipynb"] == 1


def test_the_trend_of_a_family_stands_at_what_its_tasks_train_on(told):
    trend = table(told, "experiments/norman19/scaling.csv")
    assert trend.drop_duplicates("task").set_index("task")["level"].to_dict() == told["train_cells"]
    rmse = trend[(trend["metric"] == "rmse_average") & (trend["model"] == "linear")].set_index("task")
    assert rmse["mean"].to_dict() == pytest.approx({"transfer": 0.25, "small": 0.45})
    assert rmse["n_seeds"].tolist() == [2, 2]
    imbalance = table(told, "experiments/norman19/imbalance.csv")
    assert (imbalance["level"] > 0.9).all()
    kinds = [key.split("/")[0] for key in told["inputs"]["evaluation/imbalance.ipynb"]]
    assert kinds == ["curated", *["metrics"] * 6, *["splits"] * 2]


def test_rank_against_fit_has_a_point_a_training(told):
    runs = table(told, "experiments/norman19/collapse.csv")
    runs = runs.set_index(["task", "model", "seed"])["rank"]
    assert sorted(runs.index) == [
        (task, *run) for task in ("small", "transfer") for run in (("additive", 1), ("linear", 1), ("linear", 2))
    ]
    assert runs["small", "linear", 2] == pytest.approx(0.3)
    assert runs["small", "additive", 1] == pytest.approx(0.5)


@pytest.mark.parametrize("name", ["scaling", "imbalance", "collapse"])
def test_figures_are_artifacts_and_stand_in_the_report(told, name):
    figure = Path(told["artifacts"][f"experiments/norman19/{name}.png"]["path"])
    assert figure.read_bytes().startswith(b"\x89PNG")
    assert told["artifacts"][f"experiments/norman19/{name}.png"]["features"]["experiment"] == name
    assert told["pictures"][f"evaluation/{name}.ipynb"] == 1
    assert told["pictures"]["training/tune.ipynb"] == 1


def test_an_embedding_belongs_to_the_same_cells_and_a_model_trains_on_it(told):
    files = {key: artifact["path"] for key, artifact in told["artifacts"].items()}
    embedded = ad.read_h5ad(files["embedded/norman19_scgpt.h5ad"])
    curated = ad.read_h5ad(files["curated/norman19.h5ad"])
    codes = pd.DataFrame(embedded.obsm["X_scgpt"], index=embedded.obs_names)
    np.testing.assert_allclose(np.linalg.norm(codes, axis=1), 1, rtol=1e-5)
    assert codes.shape == (curated.n_obs, scgpt_stand_in.WIDTH)
    if not scgpt_stand_in.REAL:  # then the code of a cell is a plain formula
        weights = Path(told["weights"])
        vocab = json.loads((weights / "vocab.json").read_text())
        table = torch.load(weights / "best_model.pt", weights_only=True)["encoder.embedding.weight"].numpy()
        expected = np.log1p(curated.layers["counts"].toarray()) @ table[[vocab[gene] for gene in curated.var_names]]
        expected /= np.linalg.norm(expected, axis=1, keepdims=True)
        np.testing.assert_allclose(codes.loc[curated.obs_names], expected, atol=1e-5)
    assert told["inputs"]["training/embed_scgpt.ipynb"] == ["curated/norman19.h5ad"]
    inputs = ["embedded/norman19_scgpt.h5ad", "splits/norman19/transfer.csv"]
    assert told["inputs"]["training/train.ipynb cpa-scgpt"] == inputs
    (key,) = [key for key in files if key.startswith("models/norman19/transfer/cpa-scgpt/")]
    model, info = load_model(files[key])
    assert info.hyperparameters["embedding"] == "X_scgpt"
    assert model.vocabulary.embeddings == {"X_scgpt": scgpt_stand_in.WIDTH}
    assert told["pictures"]["training/embed_scgpt.ipynb"] == 1


def test_an_unknown_experiment_names_the_nearest():
    command = [sys.executable, "-c", "from perturbench_lamin.cli import main; main()"]
    done = subprocess.run([*command, "experiment", "scalign"], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "Did you mean scaling" in done.stderr
