from __future__ import annotations

import ast
import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import torch
from lightning import Callback
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.loggers import CSVLogger
from tiny_curated import Tiny, random_split, write

from perturbench_lamin.errors import InputError, IntegrityError
from perturbench_lamin.splitting.io import write_split
from perturbench_lamin.training.callbacks import DivergenceError
from perturbench_lamin.training.checkpoint import load_model
from perturbench_lamin.training.config import TrainConfig
from perturbench_lamin.training.fit import fit
from perturbench_lamin.training.predict import predict

DATA = Tiny(noise=0.3).data()
SPLIT = random_split(DATA, held_out=("G0+G1",))
LATENT = {"encoder_width": 16, "latent_dim": 6, "n_layers": 1, "lr": 3e-3, "dropout": 0.2}
CONFIG = TrainConfig("latent_additive", LATENT, seed=5, max_epochs=6, batch_size=20, accelerator="cpu")


@pytest.fixture(scope="module")
def curated_path(tmp_path_factory) -> Path:
    return write(DATA, tmp_path_factory.mktemp("data") / "tiny.h5ad")


@pytest.fixture(scope="module")
def whole(curated_path, tmp_path_factory):
    """A training that nothing interrupts."""
    return fit(curated_path, SPLIT, CONFIG, tmp_path_factory.mktemp("whole") / "run")


def state(path: Path) -> dict:
    checkpoint = torch.load(path, weights_only=True)
    return checkpoint["state_dict"] | {
        f"adam {key} {name}": value
        for key, moments in checkpoint["optimizer_states"][0]["state"].items()
        for name, value in moments.items()
    }


def assert_same_weights(left: Path, right: Path) -> None:
    one, other = state(left), state(right)
    assert one.keys() == other.keys()
    for key in one:
        assert torch.equal(one[key], other[key]), key


class Interrupt(Callback):
    """Fail in the middle of an epoch, as a kill would."""

    def __init__(self, epoch: int, batch: int) -> None:
        self.at = (epoch, batch)

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx) -> None:
        if (trainer.current_epoch, batch_idx) == self.at:
            raise RuntimeError("interrupted")


def test_what_a_fit_leaves(whole):
    folder = whole.best_checkpoint.parent
    names = {path.name for path in folder.iterdir()}
    assert names == {"best.ckpt", "last.ckpt", "history.csv", "training.json", "result.json", ".lock"}
    assert whole.stopped == "max_epochs"
    assert whole.resumed_from == 0
    assert whole.history["epoch"].tolist() == list(range(6))
    assert list(whole.history) == ["epoch", "lr", "train_loss", "val_loss"]
    pd.testing.assert_frame_equal(pd.read_csv(folder / "history.csv"), whole.history)
    _, best = load_model(whole.best_checkpoint)
    assert best.epochs == whole.history["val_loss"].idxmin() + 1
    assert load_model(whole.last_checkpoint)[1].epochs == 6


def test_the_same_seed_gives_the_same_weights_and_another_seed_others(curated_path, whole, tmp_path):
    torch.manual_seed(99)  # what the caller did before must not matter
    again = fit(curated_path, SPLIT, CONFIG, tmp_path / "again")
    assert_same_weights(again.last_checkpoint, whole.last_checkpoint)
    pd.testing.assert_frame_equal(again.history, whole.history)
    other = fit(curated_path, SPLIT, TrainConfig.from_dict(CONFIG.to_dict() | {"seed": 6}), tmp_path / "other")
    assert not other.history["val_loss"].equals(whole.history["val_loss"])


def test_the_callers_random_state_and_settings_stay(curated_path, tmp_path):
    torch.manual_seed(1)
    before = torch.random.get_rng_state()
    fit(curated_path, SPLIT, TrainConfig("control_mean", accelerator="cpu"), tmp_path / "run")
    assert torch.equal(torch.random.get_rng_state(), before)
    assert not torch.are_deterministic_algorithms_enabled()
    assert torch.utils.deterministic.fill_uninitialized_memory
    assert "PL_GLOBAL_SEED" not in os.environ


@pytest.mark.parametrize("epoch", [0, 3])
def test_an_interrupted_training_resumes_to_the_same_weights(curated_path, whole, tmp_path, epoch):
    with pytest.raises(RuntimeError, match="interrupted"):
        fit(curated_path, SPLIT, CONFIG, tmp_path / "run", callbacks=[Interrupt(epoch, 1)])
    resumed = fit(curated_path, SPLIT, CONFIG, tmp_path / "run")
    assert resumed.resumed_from == epoch
    assert_same_weights(resumed.last_checkpoint, whole.last_checkpoint)
    assert_same_weights(resumed.best_checkpoint, whole.best_checkpoint)
    pd.testing.assert_frame_equal(resumed.history, whole.history)


KILLED = """
import os, signal, sys
sys.path.append("tests/loading"); sys.path.append("tests/training")
import torch; torch.set_num_threads(1)
import test_fit as t
class Kill(t.Interrupt):
    def on_train_batch_end(self, trainer, *rest):
        if (trainer.current_epoch, rest[-1]) == self.at:
            os.kill(os.getpid(), signal.SIGKILL)
t.fit(sys.argv[1], t.SPLIT, t.CONFIG, sys.argv[2], callbacks=[Kill(2, 1)])
"""


def test_a_killed_training_resumes_to_the_same_weights(curated_path, whole, tmp_path):
    root = Path(__file__).parents[2]
    command = [sys.executable, "-c", KILLED, str(curated_path), str(tmp_path / "run")]
    assert subprocess.run(command, cwd=root, check=False, capture_output=True).returncode == -9
    assert not (tmp_path / "run/result.json").exists()
    (tmp_path / "run/.last.ckpt.abc.part.ckpt").write_bytes(b"half")  # a kill in the middle of a write
    resumed = fit(curated_path, SPLIT, CONFIG, tmp_path / "run")
    assert resumed.resumed_from == 2
    assert [path.name for path in (tmp_path / "run").glob(".*")] == [".lock"]
    assert_same_weights(resumed.last_checkpoint, whole.last_checkpoint)
    assert_same_weights(resumed.best_checkpoint, whole.best_checkpoint)


def test_a_learning_rate_that_has_fallen_is_resumed_too(curated_path, tmp_path):
    still = TrainConfig("linear", {"lr": 1e-7, "wd": 0.0}, max_epochs=19, batch_size=200, accelerator="cpu")
    whole = fit(curated_path, SPLIT, still, tmp_path / "whole")
    assert whole.history["lr"].nunique() == 2, "the rate must fall for this test to see"
    with pytest.raises(RuntimeError, match="interrupted"):
        fit(curated_path, SPLIT, still, tmp_path / "run", callbacks=[Interrupt(10, 0)])
    resumed = fit(curated_path, SPLIT, still, tmp_path / "run")
    pd.testing.assert_frame_equal(resumed.history, whole.history)


def test_a_broken_last_checkpoint_is_trained_anew(curated_path, whole, tmp_path, capsys):
    with pytest.raises(RuntimeError, match="interrupted"):
        fit(curated_path, SPLIT, CONFIG, tmp_path / "run", callbacks=[Interrupt(2, 0)])
    last = tmp_path / "run/last.ckpt"
    last.write_bytes(last.read_bytes()[:1000])
    with pytest.raises(IntegrityError, match="truncated"):
        fit(curated_path, SPLIT, CONFIG, tmp_path / "run", resume=True)
    resumed = fit(curated_path, SPLIT, CONFIG, tmp_path / "run")
    assert resumed.resumed_from == 0
    assert "truncated" in capsys.readouterr().err
    assert_same_weights(resumed.last_checkpoint, whole.last_checkpoint)


class Forbid(Callback):
    def on_train_start(self, trainer, pl_module) -> None:
        raise AssertionError("nothing is to be trained")


def test_a_finished_training_is_not_repeated(curated_path, tmp_path):
    config = TrainConfig("linear", {"lr": 0.01}, max_epochs=2, batch_size=50, accelerator="cpu")
    first = fit(curated_path, SPLIT, config, tmp_path / "run")
    second = fit(curated_path, SPLIT, config, tmp_path / "run", callbacks=[Forbid()])
    assert second.best_checkpoint == first.best_checkpoint
    assert second.stopped == first.stopped
    pd.testing.assert_frame_equal(second.history, first.history, check_exact=True)


@pytest.mark.parametrize("change", ["config", "split", "provenance"])
def test_another_training_starts_anew_and_keeps_other_files(curated_path, tmp_path, change):
    config = TrainConfig("linear", {"lr": 0.01}, max_epochs=2, batch_size=50, accelerator="cpu")
    fit(curated_path, SPLIT, config, tmp_path / "run")
    (tmp_path / "run/notes.txt").write_text("mine")
    split = random_split(DATA, seed=1) if change == "split" else SPLIT
    config = TrainConfig.from_dict(config.to_dict() | {"max_epochs": 3}) if change == "config" else config
    provenance = {"curated": "v2"} if change == "provenance" else None
    second = fit(curated_path, split, config, tmp_path / "run", provenance=provenance)
    assert second.resumed_from == 0
    assert len(second.history) == config.max_epochs
    assert (tmp_path / "run/notes.txt").read_text() == "mine"


def test_early_stopping_and_a_kill_after_it(curated_path, tmp_path):
    config = TrainConfig(
        "linear", {"lr": 1e-12}, max_epochs=30, min_epochs=1, patience=3, batch_size=200, accelerator="cpu"
    )
    first = fit(curated_path, SPLIT, config, tmp_path / "run")
    assert first.stopped == "early_stopping"
    assert len(first.history) < 30
    (tmp_path / "run/result.json").unlink()  # as if killed between the last checkpoint and the result
    second = fit(curated_path, SPLIT, config, tmp_path / "run")
    pd.testing.assert_frame_equal(second.history, first.history)
    assert second.stopped == "early_stopping"


def test_a_kill_after_the_last_epoch(curated_path, whole, tmp_path):
    first = fit(curated_path, SPLIT, CONFIG, tmp_path / "run")
    (tmp_path / "run/result.json").unlink()
    second = fit(curated_path, SPLIT, CONFIG, tmp_path / "run")
    assert second.best_checkpoint == first.best_checkpoint
    assert_same_weights(second.last_checkpoint, whole.last_checkpoint)


class Poison(Callback):
    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx) -> None:
        if (trainer.current_epoch, batch_idx) == (1, 2):
            batch.expression[0, 0] = float("nan")


def test_nan_stops_and_names_the_batch_and_good_checkpoints_stay(curated_path, tmp_path):
    with pytest.raises(DivergenceError, match=r"The loss is nan \[epoch 1, training batch 2\]"):
        fit(curated_path, SPLIT, CONFIG, tmp_path / "run", callbacks=[Poison()])
    for name in ("best.ckpt", "last.ckpt"):
        model, info = load_model(tmp_path / "run" / name)
        assert info.epochs == 1
        assert all(value.isfinite().all() for value in model.state_dict().values())


def test_nan_in_validation_stops_too(curated_path, tmp_path):
    class PoisonValidation(Callback):
        def on_validation_batch_start(self, trainer, pl_module, batch, batch_idx, dataloader_idx=0) -> None:
            batch.expression[0, 0] = float("inf")

    with pytest.raises(DivergenceError, match=r"inf \[epoch 0, validation batch 0\]"):
        fit(curated_path, SPLIT, CONFIG, tmp_path / "run", callbacks=[PoisonValidation()])
    assert not (tmp_path / "run/best.ckpt").exists()


def test_another_checkpoint_callback_and_a_logger(curated_path, tmp_path):
    saved = []

    class Recorder(ModelCheckpoint):
        """Has no ``filename`` argument, as LaminDB's has none."""

        def __init__(self, dirpath=None, *, monitor=None, mode="min", save_top_k=1, enable_version_counter=True):
            super().__init__(
                dirpath, monitor=monitor, mode=mode, save_top_k=save_top_k,
                enable_version_counter=enable_version_counter,
            )  # fmt: skip

        def _save_checkpoint(self, trainer, filepath) -> None:
            super()._save_checkpoint(trainer, filepath)
            saved.append((Path(filepath).name, trainer.current_epoch))

    logger = CSVLogger(tmp_path / "logs", name="tiny", version=0)
    result = fit(curated_path, SPLIT, CONFIG, tmp_path / "run", checkpoint_callback=Recorder, logger=logger)
    val_loss = result.history["val_loss"]
    improved = [epoch for epoch in range(6) if val_loss[epoch] == val_loss[: epoch + 1].min()]
    assert saved == [("best.ckpt", epoch) for epoch in improved]
    assert (tmp_path / "logs/tiny/version_0/metrics.csv").exists()


def test_the_checkpoint_callback_is_called_with_what_lamindb_takes(curated_path, tmp_path):
    """Reads LaminDB's signature from its source: importing it needs an instance."""
    root = Path(importlib.util.find_spec("lamindb").origin).parent
    tree = ast.parse((root / "integrations/lightning.py").read_text())
    classes = {node.name: node for node in tree.body if isinstance(node, ast.ClassDef)}
    init = next(item for item in classes["Checkpoint"].body if getattr(item, "name", "") == "__init__")
    accepted = {argument.arg for argument in (*init.args.args, *init.args.kwonlyargs)}
    given: dict = {}

    def factory(**options):
        given.update(options)
        return ModelCheckpoint(**options)

    config = TrainConfig("control_mean", accelerator="cpu")
    fit(curated_path, SPLIT, config, tmp_path / "run", checkpoint_callback=factory)
    assert set(given) <= accepted


def test_a_lost_best_checkpoint_is_trained_anew(curated_path, whole, tmp_path):
    first = fit(curated_path, SPLIT, CONFIG, tmp_path / "run")
    first.best_checkpoint.unlink()
    second = fit(curated_path, SPLIT, CONFIG, tmp_path / "run")
    assert second.resumed_from == 0
    assert_same_weights(second.best_checkpoint, whole.best_checkpoint)


@pytest.mark.parametrize("model", ["control_mean", "perturbation_mean", "additive", "linear", "decoder_only"])
def test_every_model_fits_and_its_best_checkpoint_loads(curated_path, tmp_path, model):
    values = {"encoder_width": 8} if model == "decoder_only" else {}
    config = TrainConfig(model, values, max_epochs=2, batch_size=30, accelerator="cpu")
    result = fit(curated_path, SPLIT, config, tmp_path / "run")
    assert len(result.history) == (1 if model in ("control_mean", "perturbation_mean", "additive") else 2)
    loaded, info = load_model(result.best_checkpoint)
    assert info.model == loaded.name == model
    assert not loaded.training


def test_misspelt_hyperparameters_show_before_the_data_are_read(tmp_path):
    with pytest.raises(InputError, match="Did you mean lr"):
        fit(tmp_path / "none.h5ad", SPLIT, TrainConfig("linear", {"l_r": 1}), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_out_dir_that_is_a_file(curated_path, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="Not a folder"):
        fit(curated_path, SPLIT, CONFIG, tmp_path / "file")


def test_a_split_may_be_its_file_and_what_is_no_file_is_told(curated_path, whole, tmp_path):
    write_split(SPLIT, tmp_path / "split.csv")
    result = fit(curated_path, str(tmp_path / "split.csv"), CONFIG, tmp_path / "run")
    assert_same_weights(result.best_checkpoint, whole.best_checkpoint)
    with pytest.raises(InputError, match=r"Not a path but AnnData \[curated file\]\n  Give the path of a curated"):
        fit(ad.AnnData(np.zeros((2, 2))), SPLIT, CONFIG, tmp_path / "none")
    with pytest.raises(InputError, match=r"Not a split but dict \[split\]\n  Give a pandas Series"):
        fit(curated_path, {"a": "train"}, CONFIG, tmp_path / "none")
    assert not (tmp_path / "none").exists()
    predicted = predict(result.best_checkpoint, curated_path, tmp_path / "split.csv", "test")
    assert predicted.n_obs == predict(result.best_checkpoint, curated_path, SPLIT, "test").n_obs > 0


@pytest.mark.parametrize("job", [{}, {"SLURM_JOB_ID": "1", "SLURM_NTASKS": "4", "SLURM_JOB_NAME": "train"}])
def test_a_machine_with_slurm_is_one_like_others(curated_path, tmp_path, monkeypatch, job):
    """On the login node and within a batch job of several tasks, without srun; a warning is an error here."""
    srun = tmp_path / "srun"
    srun.write_text("#!/bin/sh\nexit 1\n")
    srun.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    for name, value in job.items():
        monkeypatch.setenv(name, value)
    config = TrainConfig("linear", {}, max_epochs=1, batch_size=20, accelerator="cpu")
    assert len(fit(curated_path, SPLIT, config, tmp_path / "run").history) == 1


def test_published_configuration():
    config = TrainConfig.from_published("linear", "norman19", precision="32-true", max_epochs=1)
    assert config.hyperparameters["lr"] == 0.004716813309487752
    assert (config.seed, config.batch_size, config.max_epochs, config.precision) == (245, 4000, 1, "32-true")


@pytest.mark.parametrize(
    ("entries", "words"),
    [
        ({"model": "linear", "epochs": 3}, "or max_epochs"),
        ({}, "No model"),
        ({"model": "linear", "batch_size": 0}, "batch_size is 0"),
        ({"model": "linear", "precision": "16-mixd"}, "Did you mean 16-mixed"),
        ({"model": "linear", "seed": True}, "seed is True"),
    ],
)
def test_wrong_configurations(entries, words):
    with pytest.raises(InputError, match=words):
        TrainConfig.from_dict(entries)


def test_histories_are_finite(whole):
    assert np.isfinite(whole.history.to_numpy()).all()
