"""A training shared by two processes, through the script that a user would start."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
from test_fit import DATA, LATENT, SPLIT, curated_path  # noqa: F401 (fixture)

from perturbench_lamin.training.checkpoint import load_model
from perturbench_lamin.training.config import TrainConfig
from perturbench_lamin.training.fit import fit

TARGETS = int(((SPLIT == "train").to_numpy() & (DATA.obs["condition"] != "control").to_numpy()).sum())
BATCH = next(size for size in range(15, TARGETS) if TARGETS % size == 1)
"""One cell is left for the last batch: one of two processes has none."""

CONFIG = TrainConfig(
    "latent_additive",
    {**LATENT, "dropout": 0.0},
    seed=5,
    max_epochs=2,
    batch_size=BATCH,
    accelerator="cpu",
    devices=2,
    strategy="ddp",
)
SCRIPT = """
import sys
sys.path[:0] = ["tests/loading", "tests/training"]
import torch
torch.set_num_threads(1)
from test_several_processes import CONFIG, SPLIT, fit
fit(sys.argv[1], SPLIT, CONFIG, sys.argv[2], progress=False)
"""


def test_two_processes_train_as_one(curated_path, tmp_path):  # noqa: F811
    script = tmp_path / "train.py"
    script.write_text(SCRIPT)
    root = str(Path(__file__).parents[2])
    command = [sys.executable, str(script), str(curated_path), str(tmp_path / "two")]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([root, os.environ.get("PYTHONPATH", "")])}
    done = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    alone = TrainConfig.from_dict(CONFIG.to_dict() | {"devices": 1, "strategy": "auto"})
    one = fit(curated_path, SPLIT, alone, tmp_path / "one")
    history = pd.read_csv(tmp_path / "two/history.csv")
    pd.testing.assert_frame_equal(history, one.history, rtol=1e-5)
    left, _ = load_model(tmp_path / "two/last.ckpt")
    right, info = load_model(one.last_checkpoint)
    assert info.epochs == 2
    for mine, other in zip(left.parameters(), right.parameters(), strict=True):
        np.testing.assert_allclose(mine.detach(), other.detach(), atol=1e-3)
