"""Measures: closed forms, agreement with scikit-learn and scipy, pairs against rows."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import stats
from sklearn import metrics as sk

from perturbench_lamin.evaluation import measures

PAIRED = ["mse", "rmse", "mae", "r2", "r2_swapped", "cosine", "pearson"]
TRUTH = np.array([[0.0, 3.0, 4.0], [1.0, 1.0, 1.0]])
PREDICTION = np.array([[0.0, 0.0, 4.0], [1.0, 2.0, 3.0]])

rows = hnp.arrays(np.float64, (4, 7), elements=st.floats(0, 8, width=32))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("mse", [3.0, 5 / 3]),
        ("rmse", [np.sqrt(3.0), np.sqrt(5 / 3)]),
        ("mae", [1.0, 1.0]),
        ("r2", [1 - 9 / (26 / 3), np.nan]),
        ("r2_swapped", [1 - 9 / (32 / 3), 1 - 5 / 2]),
        ("cosine", [16 / 20, 6 / np.sqrt(42)]),
        ("pearson", [20 / 3 / np.sqrt(26 / 3 * 32 / 3), np.nan]),
    ],
)
def test_closed_form(name, expected):
    np.testing.assert_allclose(getattr(measures, name)(TRUTH, PREDICTION), expected, rtol=1e-14)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_agrees_with_other_libraries(seed):
    truth, prediction = np.random.default_rng(seed).gamma(1.0, 1.0, (2, 3, 20))
    oracles = {
        "mse": sk.mean_squared_error,
        "mae": sk.mean_absolute_error,
        "r2": sk.r2_score,
        "r2_swapped": lambda t, p: sk.r2_score(p, t),
        "pearson": lambda t, p: stats.pearsonr(t, p).statistic,
        "cosine": lambda t, p: sk.pairwise.cosine_similarity(t[None], p[None])[0, 0],
    }
    for name, oracle in oracles.items():
        expected = [oracle(t, p) for t, p in zip(truth, prediction, strict=True)]
        np.testing.assert_allclose(getattr(measures, name)(truth, prediction), expected, rtol=1e-10, err_msg=name)


@settings(max_examples=30, deadline=None)
@given(truth=rows, prediction=rows)
@pytest.mark.parametrize("name", PAIRED)
def test_pairs_are_rows_against_every_row(name, truth, prediction):
    pairs = getattr(measures, f"{name}_pairs")(truth, prediction)
    for i in range(len(prediction)):
        repeated = np.broadcast_to(prediction[i], truth.shape)
        expected = getattr(measures, name)(truth, repeated)
        np.testing.assert_allclose(pairs[i], expected, rtol=1e-7, atol=1e-9)


@settings(max_examples=30, deadline=None)
@given(truth=rows)
@pytest.mark.parametrize(
    ("name", "best"), [("mse", 0), ("rmse", 0), ("mae", 0), ("cosine", 1), ("r2", 1), ("pearson", 1)]
)
def test_a_perfect_prediction_is_exactly_best(name, best, truth):
    found = getattr(measures, name)(truth, truth.copy())
    defined = ~np.isnan(found)
    if name in ("mse", "rmse", "mae", "r2"):
        assert (found[defined] == best).all()
        pairs = np.diag(getattr(measures, f"{name}_pairs")(truth, truth.copy()))
        assert (pairs[defined] == best).all()
    else:
        np.testing.assert_allclose(found[defined], best, rtol=1e-12)


@pytest.mark.parametrize("name", PAIRED)
def test_equal_predictions_score_equally_wherever_they_stand(name):
    rng = np.random.default_rng(1)
    truth, one = rng.gamma(1.0, 1.0, (37, 501)), rng.gamma(1.0, 1.0, 501)
    pairs = getattr(measures, f"{name}_pairs")(truth, np.tile(one, (37, 1)))
    assert (pairs == pairs[0]).all(), "ties must be ties to the last bit"


@pytest.mark.parametrize("name", ["cosine", "pearson"])
def test_a_row_without_direction_has_no_similarity(name):
    zero = np.full((1, 3), 0.1 if name == "pearson" else 0.0)
    assert np.isnan(getattr(measures, name)(zero, PREDICTION[1:])).all()
    assert np.isnan(getattr(measures, name)(PREDICTION[1:], zero)).all()


def test_top_k_recall():
    truth = np.array([[9.0, -8.0, 7.0, 0.0], [1.0, 2.0, 3.0, 4.0], [np.nan] * 4])
    prediction = np.array([[-5.0, 0.0, 4.0, 0.1], [4.0, 3.0, 2.0, 1.0], [1.0] * 4])
    np.testing.assert_array_equal(measures.top_k_recall(truth, prediction, top_k=2), [0.5, 0.0, np.nan])
    np.testing.assert_array_equal(measures.top_k_recall(truth, prediction, top_k=99), [1.0, 1.0, np.nan])


def test_centroid_accuracy():
    truth = np.array([[0.0], [1.0], [5.0]])
    prediction = np.array([[0.2], [4.0], [5.0]])
    np.testing.assert_array_equal(measures.centroid_accuracy(truth, prediction), [1.0, 0.5, 1.0])
    assert np.isnan(measures.centroid_accuracy(truth[:1], prediction[:1])).all()
    ties = np.zeros((3, 2))
    np.testing.assert_array_equal(measures.centroid_accuracy(ties, ties), [0.0, 0.0, 0.0])


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000), p=st.integers(2, 9))
def test_centroid_accuracy_of_a_constant_prediction_is_a_half(seed, p):
    rng = np.random.default_rng(seed)
    accuracy = measures.centroid_accuracy(rng.random((p, 5)), np.tile(rng.random(5), (p, 1)))
    assert accuracy.mean() == pytest.approx(0.5)
