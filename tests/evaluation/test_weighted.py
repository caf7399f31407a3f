"""Response weights and weighted metrics."""

import numpy as np
import pytest
from scipy import stats

from perturbench_lamin.evaluation.aggregate import Moments
from perturbench_lamin.evaluation.weighted import response_weights, rest_p_values, rest_scores, wmse, wr2


@pytest.fixture
def samples():
    rng = np.random.default_rng(0)
    return [rng.gamma(1.0, 1.0, (n, 6)) for n in (5, 8, 11)]


def moments(samples):
    variances = [s.var(axis=0, ddof=1) if len(s) > 1 else np.full(s.shape[1], np.nan) for s in samples]
    return Moments(
        np.array([len(s) for s in samples]), np.array([s.mean(axis=0) for s in samples]), np.array(variances)
    )


def test_scores_are_welch_against_all_other_perturbed_cells_with_the_groups_size(samples):
    scores, p = rest_scores(moments(samples)), rest_p_values(moments(samples))
    for i, own in enumerate(samples):
        rest = np.concatenate([s for j, s in enumerate(samples) if j != i])
        expected = stats.ttest_ind_from_stats(
            own.mean(axis=0), own.std(axis=0, ddof=1), len(own),
            rest.mean(axis=0), rest.std(axis=0, ddof=1), len(own), equal_var=False,
        )  # fmt: skip
        np.testing.assert_allclose(scores[i], expected.statistic, rtol=1e-9)
        np.testing.assert_allclose(p[i], expected.pvalue, rtol=1e-9)


def test_weights_go_from_zero_to_one(samples):
    weights = response_weights(moments(samples))
    size = np.abs(rest_scores(moments(samples)))
    low, high = size.min(axis=1, keepdims=True), size.max(axis=1, keepdims=True)
    np.testing.assert_allclose(weights, ((size - low) / (high - low)) ** 2, rtol=1e-12)
    assert (weights.min(axis=1) == 0).all()
    assert (weights.max(axis=1) == 1).all()


def test_a_gene_whose_score_is_undefined_is_the_least(samples):
    """scanpy's score of a gene that nothing expresses is 0; the smallest of the others is then not 0."""
    silent = [np.hstack([sample, np.full((len(sample), 1), 2.0)]) for sample in samples]
    size = np.abs(rest_scores(moments(silent)))
    assert np.isnan(size[:, -1]).all()
    size[:, -1] = 0
    weights = response_weights(moments(silent))
    np.testing.assert_allclose(weights, (size / size.max(axis=1, keepdims=True)) ** 2, rtol=1e-12)
    assert (weights[:, :-1] > 0).all()


def test_a_condition_of_one_cell_has_no_weights(samples):
    weights = response_weights(moments([samples[0][:1], *samples[1:]]))
    assert (weights[0] == 0).all()
    assert (weights[1:].max(axis=1) == 1).all()
    assert np.isnan(wmse(np.ones((3, 6)), np.zeros((3, 6)), weights)[0])
    alone = response_weights(moments(samples[:1]))
    assert (alone == 0).all()


def test_closed_form():
    truth, prediction = np.array([[1.0, 2.0, 4.0]]), np.array([[1.0, 0.0, 3.0]])
    weights = np.array([[0.0, 1.0, 3.0]])
    np.testing.assert_allclose(wmse(truth, prediction, weights), [(4 + 3) / 4])
    centre = (2 + 12) / 4
    np.testing.assert_allclose(wr2(truth, prediction, weights), [1 - 7 / ((2 - centre) ** 2 + 3 * (4 - centre) ** 2)])
    np.testing.assert_allclose(wr2(truth, np.full((1, 3), centre), weights), [0.0], atol=1e-15)
    assert np.isnan(wr2(np.ones((1, 3)), prediction, weights)).all()


def test_equal_weights_give_the_plain_error():
    rng = np.random.default_rng(0)
    truth, prediction = rng.random((2, 4, 9))
    np.testing.assert_allclose(wmse(truth, prediction, np.full((4, 9), 0.7)), ((truth - prediction) ** 2).mean(axis=1))
