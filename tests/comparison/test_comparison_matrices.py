"""Where two matrices differ: which values, in what order, how far apart; checked against sums by hand."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse

from perturbench_lamin.comparison.matrices import HISTOGRAM, Pairing, compare_matrices
from perturbench_lamin.comparison.settings import CompareConfig
from perturbench_lamin.curation.source import MatrixSource

CELLS = [f"c{k}" for k in range(6)]
GENES = [f"g{k}" for k in range(7)]


def source(values):
    return MatrixSource(sparse.csr_matrix(np.asarray(values, dtype=np.float64)), CELLS, GENES)


DEFAULT = CompareConfig()


def compared(a, b, config=DEFAULT):
    rows, columns = np.arange(len(CELLS)), np.arange(len(GENES))
    return compare_matrices(source(a), source(b), Pairing(rows, rows, columns, columns), config)


def filled():
    return np.arange(1.0, 43.0).reshape(6, 7)


def records(table):
    return [tuple(row) for row in table.itertuples(index=False)]


def bins(*logs):
    return np.histogram(logs, HISTOGRAM)[0].tolist()


def test_the_largest_distance_comes_first_and_each_falls_in_its_bin():
    a, b = filled(), filled()
    a[1, 2], b[1, 2] = 100, 101.5
    a[4, 3], b[4, 3] = 2, 22
    found = compared(a, b)
    assert records(found.first) == [("c1", "g2", 100, 101.5), ("c4", "g3", 2, 22)]
    assert records(found.largest) == [("c4", "g3", 2, 22), ("c1", "g2", 100, 101.5)]
    assert found.histogram.tolist() == bins(np.log10(1.5), np.log10(20))
    assert (found.unlike_values, found.values) == (2, 42)


def test_under_a_scale_the_distance_is_from_what_was_expected():
    a, b = filled(), 3 * filled()
    b[1, 2] += 1.5
    b[4, 3] += 20
    found = compared(a, b)
    assert (found.relation.kind, found.scale) == ("scale", 3)
    assert [row[:2] for row in records(found.largest)] == [("c4", "g3"), ("c1", "g2")]
    assert found.histogram.tolist() == bins(np.log10(1.5), np.log10(20))


def test_under_a_scale_before_log1p_the_distance_is_from_what_was_expected():
    factors = np.array([[0.5], [2], [3], [4], [5], [6]])
    a = np.log1p(filled())
    b = np.log1p(filled() * factors)
    b[2, 1] += 0.5
    found = compared(a, b)
    assert found.relation.kind == "log1p of a cell scale"
    np.testing.assert_allclose(found.relation.scale, factors.ravel())
    assert records(found.first)[0][:2] == ("c2", "g1")
    assert found.histogram.tolist() == bins(np.log10(0.5))


@pytest.mark.parametrize("swapped", [False, True])
def test_a_cell_that_is_empty_in_one_file_is_named(swapped):
    a, b = filled(), filled()
    a[3] = 0
    b[3] = [5, 0, 0, 0, 0, 0, 6]
    a, b = (b, a) if swapped else (a, b)
    found = compared(a, b)
    pair = (5.0, 0.0), (6.0, 0.0)
    wanted = [
        ("c3", gene, *(values if swapped else values[::-1])) for gene, values in zip(("g0", "g6"), pair, strict=True)
    ]
    assert records(found.first) == wanted
    assert np.flatnonzero(found.relation.unlike).tolist() == [3]
    assert found.unlike_by_gene.tolist() == [1, 0, 0, 0, 0, 0, 1]


def test_a_value_is_near_at_the_tolerance_and_not_beyond_it():
    a, b = filled(), filled()
    a[0, 0], b[0, 0] = 1.0, 1.125  # |a − b| = 0.125 = 0.0625 + 0.0625/1.125 · 1.125
    exact = CompareConfig(rtol=0.0625 / 1.125, atol=0.0625)
    assert compared(a, b, exact).unlike_values == 0
    assert compared(a, b, exact).inexact
    assert compared(a, b, CompareConfig(rtol=0.0625 / 1.125, atol=0.0624)).unlike_values == 1


def test_examples_are_the_first_and_the_largest_of_all_blocks(monkeypatch):
    monkeypatch.setattr("perturbench_lamin.curation.source.CHUNK_ENTRIES", 7)  # a row a block
    a, b = filled(), filled()
    b[:, 0] += [1.5, 8.5, 2.5, 16.5, 4.5, 0]
    found = compared(a, b, CompareConfig(examples=2))
    assert [row[0] for row in records(found.first)] == ["c0", "c1"]
    assert [row[0] for row in records(found.largest)] == ["c3", "c1"]
    assert found.unlike_by_gene.tolist() == [5, 0, 0, 0, 0, 0, 0]


def test_infinite_and_missing_values_agree_with_themselves_alone():
    a, b = filled(), filled()
    a[0, :4] = b[0, :4] = [np.nan, np.inf, -np.inf, np.nan]
    found = compared(a, b)
    assert (found.unlike_values, found.nan_in_both, found.inexact) == (0, 2, False)
    b[0, :4] = [1, np.nan, np.inf, 0]
    found = compared(a, b)
    assert (found.unlike_values, found.nan_in_both) == (4, 0)
    assert found.histogram.tolist() == bins(6, 6, 6, 6), "they are infinitely far apart"


def test_the_largest_of_a_block_is_kept_though_it_comes_last():
    a, b = filled(), filled()
    b[2, :3] += [1.5, 2.5, 16.5]
    assert records(compared(a, b, CompareConfig(examples=1)).largest) == [("c2", "g2", 17, 33.5)]


def test_half_of_the_cells_are_enough_for_a_relation():
    a, b = filled(), filled()
    b[:3] *= 2
    found = compared(a, b)
    assert (found.relation.kind, found.unlike_values) == ("tolerance", 21)
    b[3] *= 2
    found = compared(a, b)
    assert (found.relation.kind, found.scale, found.unlike_values) == ("scale", 2, 14)
