"""Ranks, against a loop over the definition."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from perturbench_lamin.evaluation.ranks import TIE_WEIGHT, rank_conditions


def plain_rank(scores, higher_is_better, ties):
    p = len(scores)
    ranks = []
    for i in range(p):
        total = 0.0
        for j in range(p):
            if j == i:
                continue
            own, other = (_filled(scores[k, i], higher_is_better) for k in (i, j))
            better = other > own if higher_is_better else other < own
            total += 1.0 if better else TIE_WEIGHT[ties] if other == own else 0.0
        ranks.append(total / (p - 1))
    return ranks


def _filled(score, higher_is_better):
    if np.isnan(score):
        return -np.inf if higher_is_better else np.inf
    return score


@settings(max_examples=60, deadline=None)
@given(
    scores=hnp.arrays(
        np.float64, st.integers(2, 7).map(lambda p: (p, p)), elements=st.sampled_from([0, 0.5, 1, np.nan])
    ),
    higher=st.booleans(),
    ties=st.sampled_from(["worse", "mid"]),
)
def test_is_the_definition(scores, higher, ties):
    found = rank_conditions(scores, higher_is_better=higher, ties=ties)
    np.testing.assert_allclose(found, plain_rank(scores, higher, ties))
    assert ((found >= 0) & (found <= 1)).all()


def test_predictions_are_ranked_against_a_truth_not_truths_against_a_prediction():
    scores = np.array([[1.0, 0.5], [2.0, 3.0]])  # prediction 0 is nearer to truth 1 than prediction 1 is
    np.testing.assert_array_equal(rank_conditions(scores, higher_is_better=False, ties="worse"), [0.0, 1.0])
    np.testing.assert_array_equal(rank_conditions(scores, higher_is_better=True, ties="worse"), [1.0, 0.0])


@pytest.mark.parametrize(("ties", "expected"), [("worse", 1.0), ("mid", 0.5)])
@pytest.mark.parametrize("score", [0.3, np.nan])
def test_one_prediction_for_all_is_a_tie(ties, expected, score):
    ranks = rank_conditions(np.full((5, 5), score), higher_is_better=True, ties=ties)
    np.testing.assert_array_equal(ranks, expected)


def test_a_single_condition_has_no_rank():
    assert np.isnan(rank_conditions(np.zeros((1, 1)), higher_is_better=False, ties="worse")).all()
    alone = {"ties": "mid", "alone": "zero"}  # as the public code has it
    assert rank_conditions(np.ones((1, 1)), higher_is_better=False, **alone).tolist() == [0]
    assert rank_conditions(np.ones((2, 2)), higher_is_better=False, **alone).tolist() == [0.5, 0.5]


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000), p=st.integers(2, 8))
def test_does_not_depend_on_the_order_of_conditions(seed, p):
    rng = np.random.default_rng(seed)
    scores, order = rng.integers(0, 3, (p, p)).astype(float), rng.permutation(p)
    ranks = rank_conditions(scores, higher_is_better=False, ties="mid")
    permuted = rank_conditions(scores[np.ix_(order, order)], higher_is_better=False, ties="mid")
    np.testing.assert_array_equal(permuted, ranks[order])
