from __future__ import annotations

import os
import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from test_fit import CONFIG, DATA, LATENT, SPLIT, curated_path, whole  # noqa: F401 (fixtures)

from perturbench_lamin.errors import InputError, IntegrityError
from perturbench_lamin.loading.batches import BatchLoader, ControlMatched
from perturbench_lamin.loading.datamodule import PerturbationData
from perturbench_lamin.loading.vocabulary import Vocabulary
from perturbench_lamin.models.cpa import CPA
from perturbench_lamin.models.registry import build
from perturbench_lamin.training.checkpoint import load_model
from perturbench_lamin.training.checkpoint_io import PlainCheckpointIO
from perturbench_lamin.training.config import TrainConfig
from perturbench_lamin.training.fit import fit


def test_a_checkpoint_says_what_it_was_trained_on(curated_path, tmp_path):  # noqa: F811
    provenance = {"curated": "abc123", "split": "def456", "dataset": "tiny", "task": "combinations"}
    config = TrainConfig("linear", {"lr": 0.01}, max_epochs=1, accelerator="cpu")
    result = fit(curated_path, SPLIT, config, tmp_path / "run", provenance=provenance)
    model, info = load_model(result.best_checkpoint)
    assert info.provenance == provenance == model.provenance
    train = DATA.obs[(SPLIT == "train").to_numpy()]
    assert info.vocabulary == Vocabulary.from_cells(train, DATA.genes, DATA.info)
    assert info.hyperparameters["lr"] == 0.01
    assert info.hyperparameters["softplus_output"] is True
    assert info.version == "0.1.0"


def test_a_loaded_model_predicts_as_the_trained_one(whole):  # noqa: F811
    loaded, info = load_model(whole.last_checkpoint)
    batch = next(
        iter(BatchLoader(ControlMatched(PerturbationData(DATA, SPLIT).val), batch_size=9, seed=0, shuffle=False))
    )
    rebuilt = build("latent_additive", LATENT, info.vocabulary).eval()
    rebuilt.load_state_dict(torch.load(whole.last_checkpoint, weights_only=True)["state_dict"])
    assert torch.equal(loaded.predict(batch), rebuilt.predict(batch))
    assert torch.equal(loaded.predict(batch), loaded.predict(batch)), "dropout must be off"


def test_weights_of_another_architecture_are_refused(curated_path, tmp_path, monkeypatch):  # noqa: F811
    """Of a model whose layers have changed since; its training in the same folder starts anew."""
    small = {"hidden_dim": 8, "n_latent": 2, "n_layers_encoder": 1, "adv_classifier_hidden_dim": 4}
    config = TrainConfig("cpa", small, max_epochs=2, batch_size=100, accelerator="cpu")
    with monkeypatch.context() as patch:
        patch.setattr(CPA, "architecture", 1)
        older = fit(curated_path, SPLIT, config, tmp_path / "run")
        assert load_model(older.best_checkpoint)[1].model == "cpa"
    message = r"(?s)architecture 1 of cpa, this package has 2 .*best.ckpt.*Train the model again"
    with pytest.raises(InputError, match=message):
        load_model(older.best_checkpoint)
    with pytest.raises(InputError, match=r"architecture differ"):
        fit(curated_path, SPLIT, config, tmp_path / "run", resume=True)
    model = build("cpa", small, PerturbationData(DATA, SPLIT).vocabulary)
    with pytest.raises(InputError, match="architecture 1 of cpa"):
        model.on_load_checkpoint(PlainCheckpointIO().load_checkpoint(older.last_checkpoint))
    assert fit(curated_path, SPLIT, config, tmp_path / "run").resumed_from == 0
    assert load_model(older.best_checkpoint)[1].epochs > 0


class Malicious:
    """Runs a command where it is unpickled without care."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return (os.system, (f"touch {self.path}",))


@pytest.mark.parametrize(
    "write", [torch.save, lambda value, path: Path(path).write_bytes(pickle.dumps(value, protocol=2))]
)
def test_code_in_a_checkpoint_is_refused_and_does_not_run(tmp_path, write):
    trap = tmp_path / "ran"
    write({"state_dict": {}, "perturbench_lamin": Malicious(trap)}, tmp_path / "evil.ckpt")
    with pytest.raises(InputError, match="would run code"):
        load_model(tmp_path / "evil.ckpt")
    assert not trap.exists()
    with pytest.raises(pickle.UnpicklingError):
        PlainCheckpointIO().load_checkpoint(tmp_path / "evil.ckpt", weights_only=False)
    assert not trap.exists()


def test_files_that_are_no_checkpoints(tmp_path, whole):  # noqa: F811
    with pytest.raises(InputError, match="No such checkpoint"):
        load_model(tmp_path / "none.ckpt")
    (tmp_path / "text.ckpt").write_text("hello")
    with pytest.raises(InputError, match="checkpoint"):
        load_model(tmp_path / "text.ckpt")
    (tmp_path / "empty.ckpt").touch()
    with pytest.raises(InputError, match="checkpoint"):
        load_model(tmp_path / "empty.ckpt")
    content = whole.best_checkpoint.read_bytes()
    (tmp_path / "half.ckpt").write_bytes(content[: len(content) // 2])
    with pytest.raises(IntegrityError, match="truncated"):
        load_model(tmp_path / "half.ckpt")
    with zipfile.ZipFile(tmp_path / "zip.ckpt", "w") as archive:
        archive.writestr("a", "b")
    with pytest.raises(IntegrityError, match="checkpoint"):
        load_model(tmp_path / "zip.ckpt")
    torch.save({"state_dict": {}}, tmp_path / "other.ckpt")
    with pytest.raises(InputError, match="something else"):
        load_model(tmp_path / "other.ckpt")


def same_model(left, right) -> bool:
    one, other = left.state_dict(), right.state_dict()
    return one.keys() == other.keys() and all(torch.equal(one[key], other[key]) for key in one)


def test_a_flipped_bit_is_refused_or_changes_nothing(tmp_path, whole):  # noqa: F811
    """torch itself loads a flipped weight as another weight."""
    content, (model, info) = whole.best_checkpoint.read_bytes(), load_model(whole.best_checkpoint)
    random, refused, path = np.random.default_rng(0), 0, tmp_path / "flipped.ckpt"
    for at in random.choice(len(content), 150, replace=False):
        damaged = bytearray(content)
        damaged[at] ^= 1 << int(random.integers(8))
        path.write_bytes(damaged)
        try:
            loaded, said = load_model(path)
        except (InputError, IntegrityError) as error:
            assert str(path) in str(error)  # noqa: PT017
            refused += 1
        else:
            assert same_model(loaded, model)
            assert said == info
    assert refused > 100


def altered(source: Path, target: Path, change, *, seal: bool) -> Path:
    """A checkpoint with something else in it, written by torch or, with a checksum that fits, by this package."""
    checkpoint = torch.load(source, weights_only=True)
    change(checkpoint)
    PlainCheckpointIO().save_checkpoint(checkpoint, target) if seal else torch.save(checkpoint, target)
    return target


def weight_of(checkpoint) -> str:
    return next(name for name, value in checkpoint["state_dict"].items() if value.ndim == 2)


def add_one(checkpoint) -> None:
    checkpoint["state_dict"][weight_of(checkpoint)][0, 0] += 1


def swap_genes(checkpoint) -> None:
    genes = checkpoint["perturbench_lamin"]["vocabulary"]["genes"]
    genes[0], genes[1] = genes[1], genes[0]


@pytest.mark.parametrize("change", [add_one, swap_genes])
def test_altered_weights_and_genes_have_another_checksum(tmp_path, whole, change):  # noqa: F811
    path = altered(whole.best_checkpoint, tmp_path / "altered.ckpt", change, seal=False)
    with pytest.raises(IntegrityError, match="were altered"):
        load_model(path)
    assert load_model(altered(whole.best_checkpoint, path, change, seal=True))


def put(value: float):
    def change(checkpoint) -> None:
        checkpoint["state_dict"][weight_of(checkpoint)][0, 0] = value

    return change


def drop(checkpoint) -> None:
    del checkpoint["state_dict"][weight_of(checkpoint)]


def cut(checkpoint) -> None:
    name = weight_of(checkpoint)
    checkpoint["state_dict"][name] = checkpoint["state_dict"][name][:-1].clone()


def add(checkpoint) -> None:
    checkpoint["state_dict"]["other.weight"] = torch.ones(2)


def rename(checkpoint) -> None:
    checkpoint["perturbench_lamin"]["model"] = "linear"
    checkpoint["perturbench_lamin"]["hyperparameters"] = {"lr": 0.1}


def forget(key: str):
    def change(checkpoint) -> None:
        del checkpoint["perturbench_lamin"][key]

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (put(float("nan")), "weights .* are NaN or infinite"),
        (put(float("inf")), "weights .* are NaN or infinite"),
        (drop, "Not the weights of latent_additive: 1 are missing, 0 "),
        (add, r"Not the weights of latent_additive: 0 are missing, 1 .*other\.weight"),
        (cut, "has the shape .*latent_additive needs"),
        (rename, "Not the weights of linear"),
        (forget("vocabulary"), "parts do not make a model .*vocabulary"),
        (forget("version"), "parts do not make a model .*version"),
        (lambda checkpoint: checkpoint.pop("state_dict"), "parts do not make a model .*state_dict"),
        (lambda checkpoint: checkpoint.update(epoch="x"), "parts do not make a model"),
        (lambda checkpoint: checkpoint["perturbench_lamin"]["vocabulary"].update(genes=3), "do not make a model"),
    ],
)
def test_weights_that_are_not_the_models_are_named(tmp_path, whole, change, message):  # noqa: F811
    path = altered(whole.best_checkpoint, tmp_path / "altered.ckpt", change, seal=True)
    with pytest.raises(IntegrityError, match=message) as caught:
        load_model(path)
    assert caught.value.where == path


def test_a_checkpoint_without_a_checksum_is_read_and_still_checked_by_the_archives_own(tmp_path, whole):  # noqa: F811
    path = altered(whole.best_checkpoint, tmp_path / "old.ckpt", forget("sha256"), seal=False)
    assert same_model(load_model(path)[0], load_model(whole.best_checkpoint)[0])
    content = bytearray(path.read_bytes())
    with zipfile.ZipFile(path) as archive:
        largest = max(archive.infolist(), key=lambda part: part.file_size)
    content[largest.header_offset + 200] ^= 1
    path.write_bytes(content)
    with pytest.raises(IntegrityError, match="has another checksum"):
        load_model(path)


def test_a_failed_write_keeps_the_earlier_checkpoint(tmp_path):
    path = tmp_path / "last.ckpt"
    PlainCheckpointIO().save_checkpoint({"value": 1}, path)

    class Unwritable:
        def __reduce__(self):
            raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        PlainCheckpointIO().save_checkpoint({"value": 2, "more": Unwritable()}, path)
    assert PlainCheckpointIO().load_checkpoint(path) == {"value": 1}
    assert list(tmp_path.iterdir()) == [path]
