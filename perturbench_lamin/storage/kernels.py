"""The compiled pass over the index arrays of a sparse matrix that decides whether kernels may trust them."""

from __future__ import annotations

import numpy as np
from numba import njit

IN_ORDER, OUT_OF_ORDER, OUT_OF_RANGE = 0, 1, 2
"""What :func:`row_order` returns."""


@njit(nogil=True, cache=True)
def row_order(indptr, indices, n_columns):  # type: ignore[no-untyped-def]
    """How a CSR matrix stores its column numbers: IN_ORDER, OUT_OF_ORDER (or one twice in a row), or OUT_OF_RANGE."""
    order = IN_ORDER
    for row in range(len(indptr) - 1):
        own = indices[indptr[row] : indptr[row + 1]]
        if len(own) == 0:
            continue
        falls = np.int32(0)
        for entry in range(len(own) - 1):  # without a branch, so that several are compared at once
            falls |= np.int32(own[entry + 1] <= own[entry])
        low, high = (own[0], own[-1]) if falls == 0 else (own.min(), own.max())
        if low < 0 or high >= n_columns:
            return OUT_OF_RANGE
        if falls != 0:
            order = OUT_OF_ORDER
    return order
