"""Variable and responding genes against closed forms and scipy."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from perturbench_lamin.curation import kernels
from perturbench_lamin.curation.differential import moments, top_genes, welch_t
from perturbench_lamin.curation.lanes import read_ahead, split_rows
from perturbench_lamin.curation.variable_genes import fit_trend, highly_variable, standardised_variance
from perturbench_lamin.errors import InputError


def sums_of(values: np.ndarray) -> np.ndarray:
    return np.stack([values.sum(axis=0), (values**2).sum(axis=0)], axis=1)


@given(seed=st.integers(0, 1000), n=st.integers(2, 30), m=st.integers(2, 30))
@settings(max_examples=30, deadline=None)
def test_welch_equals_scipy(seed, n, m):
    rng = np.random.default_rng(seed)
    group, control = rng.random((n, 6)), rng.random((m, 6)) + 0.3
    ours = welch_t(moments(sums_of(group), n), n, moments(sums_of(control), m), m)
    np.testing.assert_allclose(ours, stats.ttest_ind(group, control, equal_var=False).statistic, rtol=1e-8)


def test_constant_groups():
    ones, zeros = np.full((5, 3), 0.1), np.zeros((4, 3))
    ones[:, 2] = 0
    t = welch_t(moments(sums_of(ones), 5), 5, moments(sums_of(zeros), 4), 4)
    np.testing.assert_array_equal(t, [np.inf, np.inf, 0])


def test_top_genes_break_ties_by_order_and_leave_out_zeros():
    assert top_genes(np.array([0.0, 2.0, -2.0, 3.0, 2.0, np.inf]), 4).tolist() == [5, 3, 1, 2]
    assert top_genes(np.array([0.0, 0.0, -1.0]), 2).tolist() == [2]
    assert top_genes(np.zeros(3), 2).tolist() == []


def test_ranks_combine_by_median_then_batches_then_order():
    variances = np.array([[9.0, 8, 7, 1, 0], [9.0, 1, 0, 8, 7]])
    assert highly_variable(variances, 1).tolist() == [True, False, False, False, False]
    # Genes 1 and 3 are second in one batch each: the earlier one wins.
    assert np.flatnonzero(highly_variable(variances, 2)).tolist() == [0, 1]
    assert highly_variable(variances, 99).all()


def test_standardised_variance_without_clipping_is_variance_over_trend():
    counts = np.random.default_rng(0).poisson(np.linspace(1, 9, 40), (300, 40)).astype(float)
    trend = fit_trend(counts.sum(axis=0), (counts**2).sum(axis=0), 300, where="toy")
    assert (trend.limit > counts.max(axis=0)).all()
    expected = counts.var(axis=0, ddof=1) / trend.deviation**2
    np.testing.assert_allclose(standardised_variance(trend, sums_of(counts)), expected, rtol=1e-9)


def test_a_trend_without_varying_genes_is_refused():
    with pytest.raises(InputError, match="no gene varies"):
        fit_trend(np.full(5, 30.0), np.full(5, 90.0), 10, where="state x")


@given(st.integers(1, 100_000), st.floats(0.01, 100))
@settings(max_examples=200, deadline=None)
def test_log1p_is_correctly_rounded(count, scale):
    ours = kernels.log1p_normalised(np.int32(count), np.float32(scale))
    quotient = np.float32(count) / np.float32(scale)
    assert ours == np.float32(np.log1p(np.float64(quotient)))
    np.testing.assert_allclose(ours, np.log1p(count / scale), rtol=3e-7)


@given(st.integers(0, 1000), st.integers(1, 300), st.integers(0, 140))
@settings(max_examples=60, deadline=None)
def test_rows_are_written_sorted(seed, n_kept, extra):
    rng = np.random.default_rng(seed)
    genes = n_kept + extra
    dense = rng.poisson(0.3, (6, genes)) * rng.choice([1, 100], (6, genes))
    position = np.full(genes, -1, dtype=np.int32)
    position[rng.permutation(genes)[:n_kept]] = rng.permutation(n_kept)
    indptr = np.arange(7, dtype=np.int64) * genes  # every entry stored, zeros too
    indices, counts = np.tile(np.arange(genes, dtype=np.int32), 6), dense.ravel().astype(np.int32)
    rows, lengths, scales = np.arange(6), np.zeros(6, dtype=np.int64), np.full(6, 2, dtype=np.float32)
    out = np.zeros(6 * n_kept, dtype=np.int32), np.zeros(6 * n_kept, dtype=np.int32)
    values = np.zeros(6 * n_kept, dtype=np.float32)
    n = kernels.write_rows(indptr, indices, counts, rows, position, n_kept, scales, lengths, *out, values)
    out, values = (out[0][:n], out[1][:n]), values[:n]
    expected = np.zeros((6, n_kept), dtype=np.int64)
    expected[:, position[position >= 0]] = dense[:, position >= 0]
    row, column = np.nonzero(expected)
    np.testing.assert_array_equal(out[0], column)
    np.testing.assert_array_equal(out[1], expected[row, column])
    np.testing.assert_array_equal(lengths, np.bincount(row, minlength=6))
    np.testing.assert_allclose(values, np.log1p(expected[row, column] / 2), rtol=1e-6)


@given(st.lists(st.integers(0, 5), min_size=1, max_size=40), st.integers(1, 6))
@settings(max_examples=60, deadline=None)
def test_lanes_cover_the_rows_and_keep_keys_together(keys, lanes):
    keys = np.sort(keys)
    rows = np.arange(len(keys)) + 100
    pieces = split_rows(rows, np.ones(len(keys)), lanes, keys=keys)
    np.testing.assert_array_equal(np.concatenate(pieces), rows)
    owners = [set(keys[piece - 100]) for piece in pieces]
    assert len(pieces) <= lanes
    assert sum(map(len, owners)) == len(set(keys))


def test_reading_ahead_keeps_order_and_errors():
    assert list(read_ahead(range(5))) == [0, 1, 2, 3, 4]

    def failing():
        yield 1
        raise InputError("late")

    with pytest.raises(InputError, match="late"):
        list(read_ahead(failing()))
