"""Discrimination scores."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import cdist

from perturbench_lamin.evaluation.discrimination import DISTANCES, discrimination

NAMES = {"l1": "cityblock", "l2": "euclidean", "cosine": "cosine"}


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10_000))
@pytest.mark.parametrize("distance", DISTANCES)
def test_is_the_plain_loop_without_the_target(distance, seed):
    rng = np.random.default_rng(seed)
    truth, prediction = rng.normal(size=(2, 5, 8))
    targets = np.zeros((5, 8), dtype=bool)
    targets[0, 3] = targets[2, 7] = targets[2, 1] = True
    found = discrimination(truth, prediction, targets, distance)
    for i in range(5):
        d = cdist(prediction[i : i + 1, ~targets[i]], truth[:, ~targets[i]], NAMES[distance])[0]
        assert found[i] == 1 - (d < d[i]).sum() / 5


def test_knowing_the_target_alone_does_not_help():
    truth = np.array([[5.0, 0.0, 1.0], [0.0, 5.0, 1.2]])
    prediction = np.array([[5.0, 0.0, 1.2], [0.0, 5.0, 1.0]])  # right in the targets, wrong in the rest
    none, both = np.zeros((2, 3), dtype=bool), np.array([[1, 1, 0], [1, 1, 0]], dtype=bool)
    assert discrimination(truth, prediction, none, "l1").tolist() == [1.0, 1.0]
    assert discrimination(truth, prediction, both, "l1").tolist() == [0.5, 0.5]


@pytest.mark.parametrize("distance", DISTANCES)
def test_a_constant_prediction_scores_chance(distance):
    truth = np.random.default_rng(0).normal(size=(6, 9))
    none = np.zeros((6, 9), dtype=bool)
    for row in (np.ones(9), np.zeros(9)):
        found = discrimination(truth, np.tile(row, (6, 1)), none, distance)
        assert found.mean() == pytest.approx(0.5 + 1 / 12)
    assert (discrimination(truth, truth, none, distance) == 1.0).all()
