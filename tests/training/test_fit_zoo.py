"""Every gradient model through a whole fit: checkpoints load without unpickling, and a kill changes nothing."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import anndata as ad
import numpy as np
import pytest
import torch
from test_fit import DATA, SPLIT, Interrupt
from tiny_curated import write

from perturbench_lamin.errors import InputError
from perturbench_lamin.loading.batches import BatchLoader, ControlMatched
from perturbench_lamin.loading.datamodule import PerturbationData
from perturbench_lamin.training.checkpoint import load_model
from perturbench_lamin.training.config import TrainConfig
from perturbench_lamin.training.fit import fit
from perturbench_lamin.training.predict import PredictConfig, predict

CPA = {
    "hidden_dim": 12, "n_latent": 5, "n_layers_encoder": 1, "n_layers_pert_emb": 1, "lr": 3e-3, "dropout": 0.2,
    "adv_classifier_hidden_dim": 8, "n_warmup_epochs": 1,
}  # fmt: skip
VALUES = {
    "cpa": CPA,
    "sams_vae": {
        "hidden_dim_x": 12, "latent_dim": 5, "n_layers_encoder_x": 1, "n_layers_encoder_e": 1, "n_layers_decoder": 1,
    },
    "biolord": {"encoder_width": 12, "latent_dim": 5, "n_layers": 1},
    "latent_additive": {"encoder_width": 12, "latent_dim": 5, "n_layers": 1, "sparse_mask": True},
}  # fmt: skip
CONFIG = TrainConfig("cpa", CPA, seed=5, max_epochs=4, batch_size=20, accelerator="cpu")


@pytest.fixture(scope="module")
def curated_path(tmp_path_factory) -> Path:
    path = write(DATA, tmp_path_factory.mktemp("data") / "tiny.h5ad")
    adata = ad.read_h5ad(path)
    adata.obsm["X_scgpt"] = np.random.default_rng(0).normal(size=(adata.n_obs, 3))
    adata.write_h5ad(path)
    return path


@pytest.fixture(scope="module")
def whole(curated_path, tmp_path_factory):
    """A training of CPA that nothing interrupts: two warm-up epochs, then two with adversaries."""
    return fit(curated_path, SPLIT, CONFIG, tmp_path_factory.mktemp("whole") / "run")


def assert_same_state(left: Path, right: Path) -> None:
    one, other = (torch.load(path, weights_only=True) for path in (left, right))
    assert len(one["optimizer_states"]) == 2
    for key, value in one["state_dict"].items():
        assert torch.equal(value, other["state_dict"][key]), key
    for mine, others in zip(one["optimizer_states"], other["optimizer_states"], strict=True):
        assert mine["state"], "both optimisers have stepped"
        for number, moments in mine["state"].items():
            assert all(torch.equal(value, others["state"][number][name]) for name, value in moments.items())
    assert [x["num_bad_epochs"] for x in one["lr_schedulers"]] == [x["num_bad_epochs"] for x in other["lr_schedulers"]]


@pytest.mark.parametrize("epoch", [1, 3])
def test_an_interrupted_training_of_two_optimisers_resumes_to_the_same_weights(curated_path, whole, tmp_path, epoch):
    with pytest.raises(RuntimeError, match="interrupted"):
        fit(curated_path, SPLIT, CONFIG, tmp_path / "run", callbacks=[Interrupt(epoch, 2)])
    resumed = fit(curated_path, SPLIT, CONFIG, tmp_path / "run")
    assert resumed.resumed_from == epoch
    assert_same_state(resumed.last_checkpoint, whole.last_checkpoint)
    assert resumed.history.equals(whole.history)


KILLED = """
import os, signal, sys
sys.path += ["tests/loading", "tests/training"]
import torch; torch.set_num_threads(1)
import test_fit_zoo as t
class Kill(t.Interrupt):
    def on_train_batch_end(self, trainer, *rest):
        if (trainer.current_epoch, rest[-1]) == self.at:
            os.kill(os.getpid(), signal.SIGKILL)
t.fit(sys.argv[1], t.SPLIT, t.CONFIG, sys.argv[2], callbacks=[Kill(3, 1)])
"""


def test_a_killed_training_of_two_optimisers_resumes_to_the_same_weights(curated_path, whole, tmp_path):
    command = [sys.executable, "-c", KILLED, str(curated_path), str(tmp_path / "run")]
    root, other_hashes = Path(__file__).parents[2], os.environ | {"PYTHONHASHSEED": "7"}
    done = subprocess.run(command, cwd=root, env=other_hashes, check=False, capture_output=True)
    assert done.returncode == -signal.SIGKILL
    resumed = fit(curated_path, SPLIT, CONFIG, tmp_path / "run")
    assert resumed.resumed_from == 3
    assert_same_state(resumed.last_checkpoint, whole.last_checkpoint)


def test_the_history_of_two_optimisers(whole):
    assert list(whole.history) == ["epoch", "lr", "train_loss", "val_loss"]
    assert np.isfinite(whole.history).all(axis=None)


@pytest.mark.parametrize("name", VALUES)
def test_checkpoints_come_back(name, curated_path, tmp_path):
    config = TrainConfig(name, VALUES[name], max_epochs=2, batch_size=40, accelerator="cpu")
    result = fit(curated_path, SPLIT, config, tmp_path / "run")
    model, info = load_model(result.last_checkpoint)
    assert info.model == name
    batch = next(iter(BatchLoader(ControlMatched(PerturbationData(DATA, SPLIT).val), batch_size=99, seed=0,
                                  shuffle=False)))  # fmt: skip
    with torch.inference_mode():
        error = torch.nn.functional.mse_loss(model.predict(batch), batch.target)
    assert float(error) == pytest.approx(result.history["val_loss"].iloc[-1], rel=1e-4)
    predicted = predict(result.best_checkpoint, curated_path, SPLIT, config=PredictConfig(accelerator="cpu"))
    assert np.isfinite(predicted.X).all()


@pytest.mark.parametrize("name", ["cpa", "latent_additive"])
def test_a_model_that_reads_an_embedding(name, curated_path, tmp_path):
    values = VALUES[name] | {"embedding": "X_scgpt"}
    result = fit(curated_path, SPLIT, TrainConfig(name, values, max_epochs=1, accelerator="cpu"), tmp_path / "run")
    one = predict(result.best_checkpoint, curated_path, SPLIT, config=PredictConfig(accelerator="cpu"))
    adata = ad.read_h5ad(curated_path)
    adata.obsm["X_scgpt"] = adata.obsm["X_scgpt"] + 5
    adata.write_h5ad(tmp_path / "moved.h5ad")
    config = PredictConfig(accelerator="cpu")
    with pytest.raises(InputError, match="another version of them: embedding differ"):
        predict(result.best_checkpoint, tmp_path / "moved.h5ad", SPLIT, config=config)
    other = predict(result.best_checkpoint, tmp_path / "moved.h5ad", SPLIT, config=config, other_data=True)
    assert not np.allclose(one.X, other.X)
    again = fit(tmp_path / "moved.h5ad", SPLIT, TrainConfig(name, values, max_epochs=1, accelerator="cpu"),
                tmp_path / "run")  # fmt: skip
    assert again.resumed_from == 0, "another embedding is another training"
    del adata.obsm["X_scgpt"]
    adata.write_h5ad(tmp_path / "without.h5ad")
    with pytest.raises(InputError, match="No embedding 'X_scgpt'"):
        predict(result.best_checkpoint, tmp_path / "without.h5ad", SPLIT)


@pytest.mark.parametrize("name", ["cpa", "sams_vae", "biolord"])
def test_low_precision_trains(name, curated_path, tmp_path):
    config = TrainConfig(name, VALUES[name] | {"n_warmup_epochs": 0} if name == "cpa" else VALUES[name], max_epochs=2,
                         batch_size=40, precision="bf16-mixed", accelerator="cpu")  # fmt: skip
    result = fit(curated_path, SPLIT, config, tmp_path / "run")
    assert np.isfinite(result.history["val_loss"]).all()
