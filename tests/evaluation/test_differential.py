"""Metrics of differential expression: small cases by hand."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from perturbench_lamin.evaluation import differential as de
from perturbench_lamin.evaluation.differential import DifferentialExpression as Found


def found_in(lfc, significant):
    return Found(np.array(lfc, dtype=float), np.where(np.array(significant, dtype=bool), 0.01, 0.5))


TRUTH = found_in([[4, -3, 2, 1], [1, 2, 3, 4]], [[1, 1, 1, 0], [0, 0, 0, 0]])
PREDICTION = found_in([[1, -5, 4, 9], [1, 2, 3, 4]], [[0, 1, 1, 1], [1, 0, 0, 0]])


def test_overlap_and_precision():
    # truth: g0 g1 g2; prediction: g3 g1 g2 by |lfc|
    np.testing.assert_allclose(de.overlap(TRUTH, PREDICTION, "undefined"), [2 / 3, np.nan])
    np.testing.assert_allclose(de.overlap(TRUTH, PREDICTION, "zero", k=2), [1 / 2, 0])
    np.testing.assert_allclose(de.overlap(TRUTH, PREDICTION, "zero", k=1), [0, 0])
    np.testing.assert_allclose(de.precision(TRUTH, PREDICTION, "zero"), [2 / 3, 0])


def test_a_prediction_without_significant_genes_scores_zero_where_the_truth_has_some():
    nothing = found_in(np.zeros((2, 4)), np.zeros((2, 4)))
    for function in (de.overlap, de.precision):
        np.testing.assert_array_equal(function(TRUTH, nothing, "undefined"), [0.0, np.nan])
        np.testing.assert_array_equal(function(TRUTH, nothing, "zero"), [0.0, 0.0])


def test_shares_of_the_true_genes():
    np.testing.assert_allclose(de.recall(TRUTH, PREDICTION), [2 / 3, np.nan])
    np.testing.assert_allclose(de.direction_match(TRUTH, PREDICTION), [1.0, np.nan])
    np.testing.assert_allclose(de.spearman_lfc(TRUTH, PREDICTION)[0], stats.spearmanr([4, -3, 2], [1, -5, 4]).statistic)
    assert np.isnan(de.spearman_lfc(TRUTH, PREDICTION)[1])


def test_counts_are_compared_where_the_truth_has_genes():
    truth = found_in(np.ones((4, 3)), [[1, 0, 0], [1, 1, 0], [1, 1, 1], [0, 0, 0]])
    prediction = found_in(np.ones((4, 3)), [[1, 1, 1], [1, 1, 0], [1, 0, 0], [1, 1, 1]])
    np.testing.assert_allclose(de.spearman_counts(truth, prediction), [-1.0])


def test_infinite_changes_are_the_largest():
    truth = found_in([[np.inf, 1, 2]], [[1, 1, 1]])
    prediction = found_in([[5, 9, 1]], [[1, 1, 1]])
    np.testing.assert_allclose(de.overlap(truth, prediction, "undefined", k=2), [0.5])


def test_what_is_not_tested_is_undefined():
    untested = Found(np.ones((2, 4)), np.full((2, 4), np.nan))
    for function in (de.recall, de.direction_match, de.spearman_lfc, de.pr_auc, de.roc_auc):
        assert np.isnan(function(TRUTH, untested)).all()
    assert np.isnan(de.overlap(TRUTH, untested, "zero")).all()
    assert np.isnan(de.spearman_counts(TRUTH, untested)).all()


def test_fold_changes_and_adjustment():
    p = np.array([[0.01, 0.02, 0.5], [np.nan] * 3])
    found = de.differential_expression(np.log1p([[3.0, 0, 0], [1, 1, 1]]), np.log1p([[1.0, 0, 2]]), p)
    np.testing.assert_allclose(found.lfc, [[np.log2(3), 0, -np.inf], [0, np.inf, -1]])
    np.testing.assert_allclose(found.fdr[0], [0.03, 0.03, 0.5])
    assert found.untested.tolist() == [False, True]


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), k=st.sampled_from([None, 1, 5, 50]))
def test_bounds_and_perfection(seed, k):
    rng = np.random.default_rng(seed)
    first, second = (Found(rng.normal(size=(4, 9)), rng.random((4, 9)) * 0.2) for _ in range(2))
    for function in (de.overlap, de.precision):
        assert ((found := function(first, second, "zero", k)) >= 0).all()
        assert (found <= 1).all()
        defined = first.significant.any(axis=1)
        assert (function(first, first, "undefined", k)[defined] == 1.0).all()
    # As many genes asked for as both have: precision is overlap the other way round.
    np.testing.assert_array_equal(de.precision(first, second, "zero"), de.overlap(second, first, "zero"))


@pytest.mark.parametrize("function", [de.pr_auc, de.roc_auc])
def test_areas(function):
    truth = Found(np.ones((1, 4)), np.array([[0.01, 0.01, 0.9, 0.9]]))
    perfect = Found(np.ones((1, 4)), np.array([[0.001, 0.002, 0.3, 0.4]]))
    same = Found(np.ones((1, 4)), np.full((1, 4), 0.3))
    assert function(truth, perfect)[0] == 1.0
    assert function(truth, same)[0] == pytest.approx(0.5)
    assert np.isnan(function(Found(np.ones((1, 4)), np.ones((1, 4))), perfect)[0])
