"""Sums of expression per group of cells: numba kernels with float64 accumulators.

Cells of one group are visited in their order, whatever the number of threads, so that the sums are the same bits.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from scipy import sparse

from perturbench_lamin.evaluation.threads import over_ranges


def add_rows(block: Any, codes: np.ndarray, sums: np.ndarray, squares: np.ndarray | None) -> None:
    """Add a block of rows to its groups' sums, in place.

    Args:
        block: canonical CSR or C-contiguous dense, rows × genes.
        codes: each row's group, −1 for rows to leave out.
        sums: groups × genes, float64.
        squares: groups × genes, sums of squares; None where they are not wanted.
    """
    n_groups = len(sums)
    order = np.argsort(codes, kind="stable")
    order = order[codes[order] >= 0]
    starts = np.searchsorted(codes[order], np.arange(n_groups + 1))
    second = sums[:0] if squares is None else squares
    if sparse.issparse(block):
        indptr = block.indptr.astype(np.int64)
        over_ranges(
            lambda a, b: _add_csr(indptr, block.indices, block.data, order, starts, a, b, sums, second),
            n_groups,
            np.diff(starts),
        )
    else:
        over_ranges(lambda a, b: _add_dense(block, order, starts, a, b, sums, second), n_groups, np.diff(starts))


def add_columns(block: Any, codes: np.ndarray, sums: np.ndarray, squares: np.ndarray | None) -> None:
    """As :func:`add_rows`, for a block of columns in canonical CSC; ``sums`` holds these columns alone."""
    indptr = block.indptr.astype(np.int64)
    second = sums[:0] if squares is None else squares
    over_ranges(
        lambda a, b: _add_csc(indptr, block.indices, block.data, codes, a, b, sums, second),
        block.shape[1],
        np.diff(indptr),
    )


@njit(nogil=True, cache=True)
def _add_csr(indptr, indices, data, order, starts, first, last, sums, squares):  # type: ignore[no-untyped-def]
    for group in range(first, last):
        for position in range(starts[group], starts[group + 1]):
            row = order[position]
            for k in range(indptr[row], indptr[row + 1]):
                value = np.float64(data[k])
                sums[group, indices[k]] += value
                if len(squares) > 0:
                    squares[group, indices[k]] += value * value


@njit(nogil=True, cache=True)
def _add_dense(block, order, starts, first, last, sums, squares):  # type: ignore[no-untyped-def]
    for group in range(first, last):
        for position in range(starts[group], starts[group + 1]):
            row = order[position]
            for gene in range(block.shape[1]):
                value = np.float64(block[row, gene])
                sums[group, gene] += value
                if len(squares) > 0:
                    squares[group, gene] += value * value


@njit(nogil=True, cache=True)
def _add_csc(indptr, indices, data, codes, first, last, sums, squares):  # type: ignore[no-untyped-def]
    for gene in range(first, last):
        for k in range(indptr[gene], indptr[gene + 1]):
            group = codes[indices[k]]
            if group >= 0:
                value = np.float64(data[k])
                sums[group, gene] += value
                if len(squares) > 0:
                    squares[group, gene] += value * value
