"""What a seed means, frozen: these fail if a library changes a random stream that splits draw from."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from sklearn.model_selection import train_test_split
from splitting_tables import ONE, TWO, digest, params_of, screen

from perturbench_lamin.conditions import ObsKeys
from perturbench_lamin.splitting.tasks import TASKS, make_split

FROZEN = {
    ("transfer", 1, 0): "ed75f4e71bea7551",
    ("transfer", 1, 42): "621e9f368b08dfa6",
    ("transfer", 2, 0): "7ff6c3cc42edb03c",
    ("transfer", 2, 42): "c3649460f93705c0",
    ("combine", 1, 0): "e33c9140e59301d8",
    ("combine", 1, 42): "73350f0d67a922bc",
    ("combine", 2, 0): "5bdc7a61ca71a478",
    ("combine", 2, 42): "d6c7ac9b8f97ce49",
    ("combine-inverse", 1, 0): "51f4e926308f668a",
    ("combine-inverse", 1, 42): "937205e7d795bf60",
    ("combine-inverse", 2, 0): "a228f8079c90acba",
    ("combine-inverse", 2, 42): "43cf431bfcc89c9b",
    ("manual", 1, 0): "f5c3498514210374",
    ("manual", 1, 42): "d3ef0b125bc243e3",
    ("manual", 2, 0): "dd625f27eb3a3407",
    ("manual", 2, 42): "8e620b4726ec6d6a",
    ("predefined", 1, 0): "849f0bdb07bfecb1",
    ("predefined", 1, 42): "3d5aa23b8e305f67",
    ("predefined", 2, 0): "5be311c4536c8f3a",
    ("predefined", 2, 42): "a7a530c537bd0d90",
    ("scaling", 1, 0): "4f7d0144281e1184",
    ("scaling", 1, 42): "b841d0b415e2cca5",
    ("scaling", 2, 0): "2faf9ca7e9b0c8f4",
    ("scaling", 2, 42): "79bd68960e83e123",
    ("scaling-perturbations", 1, 0): "d41a42a69b3322a4",
    ("scaling-perturbations", 1, 42): "d8f87efdd943fada",
    ("scaling-perturbations", 2, 0): "6b3463ad393ef983",
    ("scaling-perturbations", 2, 42): "701922a96cf597ed",
    ("imbalance", 1, 0): "30a83c92f7700737",
    ("imbalance", 1, 42): "1f9d174d7bcfb9aa",
    ("imbalance", 2, 0): "10aaf8856eb86a9e",
    ("imbalance", 2, 42): "a2460b8edf39c135",
    ("unseen", 1, 0): "242552bd0ac4a227",
    ("unseen", 1, 42): "ec0ff4c5814f04d5",
    ("unseen", 2, 0): "7aa4e77e79715d17",
    ("unseen", 2, 42): "95ddfb56b365c8a6",
}


def make(task: str, n_covariates: int, seed: int):
    columns = ("cell_type", "treatment")[:n_covariates]
    obs = screen(ONE if n_covariates == 1 else TWO, columns)
    return make_split(obs, task, ObsKeys(covariates=columns), params_of(task, n_covariates, seed))


def test_every_task_is_frozen():
    assert {task for task, _, _ in FROZEN} == set(TASKS)


@pytest.mark.parametrize(("task", "n_covariates", "seed"), sorted(FROZEN))
def test_splits_are_those_made_before(task, n_covariates, seed):
    assert digest(make(task, n_covariates, seed)) == FROZEN[task, n_covariates, seed]


def test_python_streams():
    draw = random.Random(42)
    deck = list(range(10))
    draw.shuffle(deck)
    assert (deck, draw.sample(range(100), 4), draw.randint(1, 6)) == ([7, 3, 2, 8, 5, 6, 9, 4, 0, 1], [75, 54, 4, 3], 1)


def test_numpy_legacy_stream():
    assert np.random.RandomState(42).randint(0, 100_000, 4, dtype=np.int64).tolist() == [15795, 860, 76820, 54886]


def test_sklearn_stratified_draw():
    val, test = train_test_split(range(9), test_size=0.5, stratify=list("abcabcabc"), random_state=42)
    assert (val, test) == ([5, 3, 6, 1], [8, 4, 0, 2, 7])


def test_the_hash_seed_does_not_matter():
    script = (
        "from test_splitting_frozen import FROZEN, make; from splitting_tables import digest\n"
        "print([digest(make(*case)) for case in sorted(FROZEN)])"
    )
    printed = set()
    for seed in ("0", "1", "2"):
        environment = {**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(Path(__file__).parent)}
        run = subprocess.run(
            [sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True, timeout=120
        )
        printed.add(run.stdout)
    assert printed == {f"{[FROZEN[case] for case in sorted(FROZEN)]}\n"}
