"""Rows in another order, by way of a temporary file, are those that indexing gives."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from perturbench_lamin.comparison.reordered import ReorderedRows, in_order
from perturbench_lamin.curation.source import MatrixSource


def matrix(rng, cells, genes, dtype):
    dense = rng.poisson(0.5, (cells, genes)).astype(dtype)
    return MatrixSource(
        sparse.csr_matrix(dense), [f"c{k}" for k in range(cells)], [f"g{k}" for k in range(genes)]
    ), dense


@given(st.integers(0, 2**32 - 1), st.sampled_from([np.float32, np.float64, np.int64]), st.integers(1, 40))
@settings(max_examples=25, deadline=None)
def test_any_rows_in_any_order_in_bands_of_any_size(seed, dtype, band):
    rng = np.random.default_rng(seed)
    source, dense = matrix(rng, 60, 5, dtype)
    rows = rng.permutation(60)[: rng.integers(1, 61)]
    made = ReorderedRows(source, rows)
    made._band_rows = band
    made._segments = [[] for _ in range(-(-len(rows) // band))]
    start = int(rng.integers(0, len(rows)))
    stop = int(rng.integers(start, len(rows) + 1))
    read = made.read_rows(start, stop)
    assert read.dtype == dtype
    assert (read.toarray() == dense[rows[start:stop]]).all()
    assert list(made.obs_names) == [f"c{k}" for k in rows]
    again = made.select_cells(np.arange(0, len(rows), 2))
    assert (again.read_rows(0, again.shape[0]).toarray() == dense[rows[::2]]).all()
    made.close()


@pytest.mark.parametrize(
    ("rows", "kind"),
    [(np.arange(60), "MatrixSource"), (np.arange(0, 60, 2), "CellView"), (np.arange(60)[::-1], "ReorderedRows")],
)
def test_rows_in_order_are_read_where_they_are(rows, kind):
    source, dense = matrix(np.random.default_rng(0), 60, 5, np.float32)
    found = in_order(source, rows)
    assert type(found).__name__ == kind
    assert (found.read_rows(0, len(rows)).toarray() == dense[rows]).all()
    if isinstance(found, ReorderedRows):
        found.close()
