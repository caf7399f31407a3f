"""A training's folder whose files something else wrote to."""

from __future__ import annotations

import pandas as pd
import pytest
import torch

from perturbench_lamin.errors import InputError, IntegrityError
from perturbench_lamin.training.run_folder import RunFolder

TRAINING = {"config": {"model": "linear", "seed": 1}}
HISTORY = pd.DataFrame({"epoch": [0, 1], "lr": [0.1, 0.1], "train_loss": [0.1 + 0.2, None], "val_loss": [1e-300, 0.5]})


@pytest.fixture
def folder(tmp_path):
    made = RunFolder(tmp_path)
    made.open(TRAINING)
    for name in ("best.ckpt", "last.ckpt"):
        torch.save({"callbacks": {}}, tmp_path / name)
    made.finish(HISTORY, tmp_path / "best.ckpt", stopped="max_epochs")
    return made


def test_what_was_finished_is_read_back(folder):
    assert folder.result() == {"best_checkpoint": str(folder.path / "best.ckpt"), "stopped": "max_epochs"}
    pd.testing.assert_frame_equal(folder.history(), HISTORY, check_exact=True)


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"stopped": "x"}', '{"best_checkpoint": "a", "best_checkpoint": "b"}']
)
def test_a_damaged_result_is_named(folder, text):
    (folder.path / "result.json").write_text(text)
    with pytest.raises(InputError, match=r"Not the result of a training|Not readable as JSON") as caught:
        folder.result()
    assert caught.value.where == folder.path / "result.json"


@pytest.mark.parametrize("text", ["epoch,lr\n0,1\n", "epoch,val_loss\n0,low\n", "epoch,val_loss\n0\n", ""])
def test_a_damaged_history_is_named(folder, text):
    (folder.path / "history.csv").write_text(text)
    with pytest.raises(InputError, match=r"history\.csv"):
        folder.history()


def test_damage_to_what_says_which_training_it_is_is_named(folder):
    (folder.path / "training.json").write_bytes(b'{"config": \xff}')
    with pytest.raises(InputError, match=r"not UTF-8 \[.*training\.json"):
        folder.open(TRAINING)


@pytest.mark.parametrize("content", [{}, {"callbacks": 3}, {"callbacks": {"a": 3}}, [1]])
def test_a_last_checkpoint_of_something_else_is_named(folder, content):
    torch.save(content, folder.last)
    with pytest.raises(IntegrityError, match="Not the checkpoint of a training"):
        folder.resumable()
