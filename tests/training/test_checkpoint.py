from __future__ import annotations

import os
import pickle
import zipfile
from pathlib import Path

import pytest
import torch
from test_fit import CONFIG, DATA, LATENT, SPLIT, curated_path, whole  # noqa: F401 (fixtures)

from perturbench_lamin.errors import InputError
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
    with pytest.raises(InputError, match="truncated"):
        load_model(tmp_path / "half.ckpt")
    with zipfile.ZipFile(tmp_path / "zip.ckpt", "w") as archive:
        archive.writestr("a", "b")
    with pytest.raises(InputError, match="checkpoint"):
        load_model(tmp_path / "zip.ckpt")
    torch.save({"state_dict": {}}, tmp_path / "other.ckpt")
    with pytest.raises(InputError, match="something else"):
        load_model(tmp_path / "other.ckpt")


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
