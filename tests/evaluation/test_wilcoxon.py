"""Rank-sum tests, against scipy."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse, stats

from perturbench_lamin.evaluation import wilcoxon
from perturbench_lamin.evaluation.wilcoxon import rank_sums, sort_controls


def draw(seed, n, genes, zeros):
    """Values with ties, zeros and negative ones."""
    rng = np.random.default_rng(seed)
    return np.round(rng.normal(0.2, 1.0, (n, genes)), 1) * (rng.random((n, genes)) > zeros)


def p_values(*arguments):
    return rank_sums(*arguments).p


def oracle(group, control):
    return stats.mannwhitneyu(group, control, method="asymptotic", axis=0).pvalue


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), n=st.integers(2, 12), m=st.integers(2, 15), zeros=st.sampled_from([0.0, 0.6]))
@pytest.mark.parametrize("storage", ["csr", "dense"])
def test_agrees_with_scipy(storage, seed, n, m, zeros):
    cells, control = draw(seed, 2 * n, 7, zeros), draw(seed + 1, m, 7, zeros)
    X = sparse.csr_matrix(cells) if storage == "csr" else cells
    found = p_values(X, [np.arange(n), np.arange(n, 2 * n)], sort_controls(control, np.arange(7)), np.arange(7))
    expected = [oracle(cells[:n], control), oracle(cells[n:], control)]
    np.testing.assert_allclose(found, np.nan_to_num(expected, nan=1.0), rtol=1e-12)


def test_all_values_equal_is_no_evidence():
    found = p_values(
        np.full((4, 1), 2.0), [np.arange(4)], sort_controls(np.full((3, 1), 2.0), np.arange(1)), np.arange(1)
    )
    assert found[0, 0] == 1.0


def test_copies_are_the_cells_that_they_stand_for():
    row, control = draw(0, 1, 9, 0.3), draw(1, 20, 9, 0.3)
    order = np.arange(9)
    found = p_values(row, [np.array([0])], sort_controls(control, order), order, np.array([6]))
    np.testing.assert_allclose(found[0], oracle(np.repeat(row, 6, axis=0), control), rtol=1e-12)


def test_genes_are_matched_by_the_given_orders():
    cells, control = draw(0, 8, 5, 0.4), draw(1, 9, 5, 0.4)
    shuffled = np.array([3, 0, 4, 1, 2])
    back = np.argsort(shuffled)
    plain = p_values(cells, [np.arange(8)], sort_controls(control, np.arange(5)), np.arange(5))
    other = p_values(
        sparse.csr_matrix(cells[:, shuffled]), [np.arange(8)], sort_controls(control[:, back], np.argsort(back)), back
    )
    np.testing.assert_array_equal(plain, other)


def test_a_group_without_cells_has_no_test_and_batches_do_not_matter(monkeypatch):
    cells, control = draw(0, 30, 4, 0.5), draw(1, 9, 4, 0.5)
    groups = [np.arange(10), np.empty(0, dtype=int), np.arange(10, 30)]
    whole = p_values(cells, groups, sort_controls(control, np.arange(4)), np.arange(4))
    assert np.isnan(whole[1]).all()
    monkeypatch.setattr(wilcoxon, "BATCH_VALUES", 12)
    np.testing.assert_array_equal(p_values(cells, groups, sort_controls(control, np.arange(4)), np.arange(4)), whole)


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10_000), n=st.integers(2, 12), m=st.integers(2, 15))
def test_z_is_the_plain_normal_approximation(seed, n, m):
    cells, control = draw(seed, n, 7, 0.5), draw(seed + 1, m, 7, 0.5)
    found = rank_sums(cells, [np.arange(n)], sort_controls(control, np.arange(7)), np.arange(7)).z
    ranks = stats.rankdata(np.concatenate([cells, control]), axis=0)[:n].sum(axis=0)
    expected = (ranks - n * (n + m + 1) / 2) / np.sqrt(n * m * (n + m + 1) / 12)
    np.testing.assert_allclose(found[0], expected, rtol=1e-12, atol=1e-12)
