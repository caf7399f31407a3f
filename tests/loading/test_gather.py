from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from perturbench_lamin.loading.gather import gather_rows


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 1000),
    shape=st.tuples(st.integers(1, 30), st.integers(1, 40)),
    density=st.sampled_from([0.0, 0.1, 0.9]),
    n_rows=st.integers(0, 50),
    threads=st.sampled_from([None, 1, 2, 3, 8]),
)
def test_the_same_as_scipy(seed, shape, density, n_rows, threads):
    matrix = sparse.random(*shape, density=density, format="csr", dtype=np.float32, random_state=seed)
    rows = np.random.default_rng(seed).integers(0, shape[0], n_rows)
    dense = gather_rows(matrix, rows, threads=threads)
    assert dense.dtype == np.float32
    np.testing.assert_array_equal(dense, matrix[rows].toarray().reshape(n_rows, shape[1]))


@pytest.mark.parametrize("row", [-1, 3])
def test_rows_out_of_range_are_an_error(row):
    with pytest.raises(IndexError, match=r"0 … 2"):
        gather_rows(sparse.csr_matrix(np.eye(3, dtype=np.float32)), np.array([0, row]))
