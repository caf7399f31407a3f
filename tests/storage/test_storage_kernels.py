"""What the compiled checks say, held to plain loops."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from perturbench_lamin.storage import kernels


@given(
    rows=st.lists(st.lists(st.integers(-1, 8), max_size=6), max_size=6),
    n_columns=st.integers(1, 8),
)
@settings(max_examples=200, deadline=None)
def test_row_order_is_what_a_loop_says(rows, n_columns):
    indptr = np.cumsum([0, *map(len, rows)])
    indices = np.array([column for row in rows for column in row], dtype=np.int32)
    if any(not 0 <= column < n_columns for row in rows for column in row):
        expected = kernels.OUT_OF_RANGE
    elif all(row == sorted(set(row)) for row in rows):
        expected = kernels.IN_ORDER
    else:
        expected = kernels.OUT_OF_ORDER
    assert kernels.row_order(indptr, indices, n_columns) == expected
