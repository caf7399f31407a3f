"""What goes wrong in a training is said clearly."""

from __future__ import annotations

import multiprocessing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from lightning import Callback
from test_fit import CONFIG, DATA, SPLIT, assert_same_weights, curated_path, whole  # noqa: F401 (fixtures)
from tiny_curated import Tiny, random_split, write

from perturbench_lamin.conditions import token_table
from perturbench_lamin.errors import InputError
from perturbench_lamin.loading.curated import CuratedData, curated
from perturbench_lamin.locks import only_one
from perturbench_lamin.training.config import TrainConfig
from perturbench_lamin.training.exhaustion import ExhaustedError, exhaustion_explained
from perturbench_lamin.training.fit import fit
from perturbench_lamin.training.predict import PredictConfig, predict

QUICK = TrainConfig("control_mean", accelerator="cpu")


def another_version() -> CuratedData:
    """The same cells and genes, normalised otherwise."""
    return curated(DATA.X * np.float32(1.1), DATA.obs, DATA.genes, DATA.info)


def test_unknown_models_and_hyperparameters(curated_path, tmp_path):  # noqa: F811
    with pytest.raises(InputError, match=r"Unknown model 'latent_aditive'.*\n.*Did you mean latent_additive"):
        fit(curated_path, SPLIT, TrainConfig("latent_aditive"), tmp_path / "run")
    with pytest.raises(InputError, match=r"Unknown hyperparameter 'encoder_widht'.*\n.*Did you mean encoder_width"):
        fit(curated_path, SPLIT, TrainConfig("decoder_only", {"encoder_widht": 8}), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_split_of_another_dataset(curated_path, tmp_path):  # noqa: F811
    other = random_split(Tiny(cells=3).data())
    with pytest.raises(InputError, match=r"The split lacks .* of the file's"):
        fit(curated_path, other.rename(lambda name: f"other_{name}"), QUICK, tmp_path / "run")


def test_a_validation_perturbation_that_training_lacks(tmp_path):
    obs = DATA.obs.astype(str)
    obs.loc[(SPLIT == "val").to_numpy() & (obs["condition"] == "G2").to_numpy(), "condition"] = "NEW"
    info = replace(DATA.info, conditions=token_table(obs["condition"], DATA.info.keys))
    path = write(curated(DATA.X, obs.astype("category"), DATA.genes, info), tmp_path / "new.h5ad")
    with pytest.raises(InputError, match=r"cells have perturbations that training lacks: NEW \[.*val cells\]"):
        fit(path, SPLIT, TrainConfig("additive", accelerator="cpu"), tmp_path / "run")
    for model in ("control_mean", "perturbation_mean"):  # these predict all perturbations alike
        fit(path, SPLIT, TrainConfig(model, accelerator="cpu"), tmp_path / model)


@pytest.mark.parametrize("model", ["linear", "decoder_only"])
def test_a_state_without_controls(curated_path, tmp_path, model):  # noqa: F811
    controls = (DATA.obs["condition"] == "control") & (DATA.obs["cell_type"] == "RPE1") & (SPLIT == "train")
    with pytest.raises(InputError, match=r"no control of their covariate state \[train cells\]\n.*RPE1/none"):
        fit(curated_path, SPLIT.mask(controls, ""), TrainConfig(model, accelerator="cpu"), tmp_path / "run")


def test_resume_wants_the_very_training(curated_path, whole, tmp_path):  # noqa: F811
    run = tmp_path / "run"
    with pytest.raises(InputError, match="There is no training to resume"):
        fit(curated_path, SPLIT, CONFIG, run, resume=True)
    first = fit(curated_path, SPLIT, CONFIG, run)
    other = TrainConfig.from_dict(CONFIG.to_dict() | {"seed": 6, "memory": "disk"})
    with pytest.raises(InputError, match=r"another one: config\.seed differ"):
        fit(curated_path, SPLIT, other, run, resume=True)
    path = write(another_version(), tmp_path / "other.h5ad")
    with pytest.raises(InputError, match=r"another one: curated\.expression, curated\.sample differ"):
        fit(path, SPLIT, CONFIG, run, resume=True)
    again = fit(curated_path, SPLIT, CONFIG, run, resume=True)
    assert again.best_checkpoint == first.best_checkpoint
    assert_same_weights(again.best_checkpoint, whole.best_checkpoint)


def test_resume_false_starts_anew(curated_path, tmp_path):  # noqa: F811
    first = fit(curated_path, SPLIT, QUICK, tmp_path / "run")
    before = first.last_checkpoint.stat().st_mtime_ns
    fit(curated_path, SPLIT, QUICK, tmp_path / "run")
    assert first.last_checkpoint.stat().st_mtime_ns == before
    fit(curated_path, SPLIT, QUICK, tmp_path / "run", resume=False)
    assert first.last_checkpoint.stat().st_mtime_ns > before


def test_predicting_from_another_version_is_an_error_unless_meant(curated_path, tmp_path):  # noqa: F811
    split = SPLIT.where((DATA.obs["condition"] != "G0+G1").to_numpy(), "")
    result = fit(curated_path, split, QUICK, tmp_path / "run", provenance={"curated": "v1"})
    path, config = write(another_version(), tmp_path / "other.h5ad"), PredictConfig("mean", accelerator="cpu")
    with pytest.raises(InputError, match=r"another version of them: sample differ .*\n.*curated v1"):
        predict(result.best_checkpoint, path, split, config=config)
    renamed = curated(DATA.X, DATA.obs.rename(lambda name: f"new_{name}"), DATA.genes, DATA.info)
    path = write(renamed, tmp_path / "renamed.h5ad")
    other = split.rename(lambda name: f"new_{name}")
    with pytest.raises(InputError, match="cells differ"):
        predict(result.best_checkpoint, path, other, config=config)
    meant = predict(result.best_checkpoint, path, other, config=config, other_data=True)
    plain = predict(result.best_checkpoint, curated_path, split, config=config)
    np.testing.assert_array_equal(meant.X, plain.X)


def _hold(folder: Path, ready, done) -> None:
    with only_one(folder, "training", ".lock", InputError):
        ready.set()
        done.wait(600)


def test_two_trainings_in_one_folder(curated_path, tmp_path):  # noqa: F811
    context = multiprocessing.get_context("spawn")
    ready, done = context.Event(), context.Event()
    other = context.Process(target=_hold, args=(tmp_path / "run", ready, done))
    other.start()
    assert ready.wait(300)
    with pytest.raises(InputError, match=rf"Another training is running in this folder \(process {other.pid}\)"):
        fit(curated_path, SPLIT, QUICK, tmp_path / "run")
    done.set()
    other.join()
    fit(curated_path, SPLIT, QUICK, tmp_path / "run")


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20 GiB"),
        MemoryError(),
        RuntimeError("[enforce fail at alloc_cpu.cpp:127] . DefaultCPUAllocator: can't allocate memory"),
    ],
)
def test_out_of_memory_says_what_to_lower(curated_path, tmp_path, error):  # noqa: F811
    class Greedy(Callback):
        def on_train_batch_start(self, *_) -> None:
            raise error

    with pytest.raises(ExhaustedError, match=r'emory ran out \[training\]\n.*batch_size \(20\).*memory to "disk"'):
        fit(curated_path, SPLIT, CONFIG, tmp_path / "run", callbacks=[Greedy()])


def test_memory_that_torch_cannot_have_is_recognised():
    with pytest.raises(ExhaustedError, match="Memory ran out"), exhaustion_explained("here", "Less."):
        torch.empty(1 << 50)
    with pytest.raises(RuntimeError, match="size"), exhaustion_explained("here", "Less."):
        torch.zeros(2) @ torch.zeros(3)


@pytest.mark.parametrize("memory", ["disk", "device"])
@pytest.mark.parametrize("model", ["latent_additive", "decoder_only"])
def test_wherever_expression_is_held_the_weights_are_the_same(curated_path, tmp_path, memory, model):  # noqa: F811
    values = dict(CONFIG.hyperparameters) if model == "latent_additive" else {"encoder_width": 8}
    config = TrainConfig(model, values, seed=5, max_epochs=2, batch_size=20, accelerator="cpu", memory="memory")
    plain = fit(curated_path, SPLIT, config, tmp_path / "plain")
    other = fit(curated_path, SPLIT, replace(config, memory=memory, prefetch=2), tmp_path / memory)
    assert_same_weights(plain.last_checkpoint, other.last_checkpoint)
    pd.testing.assert_frame_equal(plain.history, other.history, check_exact=True)
    assert plain.memory.endswith("memory, as asked for")
    assert other.memory.endswith(f"{memory}, as asked for")
    again = fit(curated_path, SPLIT, replace(config, memory=memory), tmp_path / "plain", resume=True)
    assert again.memory == plain.memory, "finished: held nowhere now"


@pytest.mark.parametrize("precision", ["bf16-mixed", "64-true"])
@pytest.mark.parametrize("model", ["latent_additive", "decoder_only"])
def test_other_precisions(curated_path, tmp_path, precision, model):  # noqa: F811
    values = dict(CONFIG.hyperparameters) if model == "latent_additive" else {"encoder_width": 8}
    config = TrainConfig(model, values, max_epochs=1, batch_size=50, accelerator="cpu", precision=precision)
    history = fit(curated_path, SPLIT, config, tmp_path / "run").history
    plain = fit(curated_path, SPLIT, replace(config, precision="32-true"), tmp_path / "plain").history
    np.testing.assert_allclose(history["val_loss"], plain["val_loss"], rtol=0.02)
