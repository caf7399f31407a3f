"""Rows of a CSR matrix straight into a dense array, on all cores, without the interpreter's lock."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor

import numba
import numpy as np
from scipy import sparse

SMALL = 1 << 20
"""Up to so many values in the result, one thread is as fast as several."""


def gather_rows(matrix: sparse.csr_matrix, rows: np.ndarray, *, threads: int | None = None) -> np.ndarray:
    """The given rows as a dense array.

    Plain threads rather than numba's own: those share OpenMP with torch, whose waiting threads then keep the
    cores busy, and small training steps take ten times as long.

    Args:
        matrix: cells × genes, canonical CSR (no entry twice).
        rows: row numbers, in any order, with repeats.
        threads: how many; by default as many as the process may use, one for a small result.

    Returns:
        rows × genes, of the matrix's dtype.

    Raises:
        IndexError: a row number is out of range.
    """
    if len(rows) and not (rows.min() >= 0 and rows.max() < matrix.shape[0]):
        raise IndexError(f"Row numbers must lie in 0 … {matrix.shape[0] - 1}")
    rows = np.ascontiguousarray(rows, dtype=np.int64)
    # calloc gives zeroed pages as they are first written: cheaper than to allocate and then zero them.
    dense = np.zeros((len(rows), matrix.shape[1]), dtype=matrix.dtype)
    if threads is None:
        threads = _cores() if dense.size > SMALL else 1
    parts = matrix.indptr, matrix.indices, matrix.data
    if threads == 1:
        _scatter(*parts, rows, dense)
        return dense
    with ThreadPoolExecutor(threads) as pool:
        blocks = zip(np.array_split(rows, threads), np.array_split(dense, threads), strict=True)
        for task in [pool.submit(_scatter, *parts, *block) for block in blocks]:
            task.result()
    return dense


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):  # not on every system
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@numba.njit(nogil=True, cache=True)
def _scatter(indptr: np.ndarray, indices: np.ndarray, data: np.ndarray, rows: np.ndarray, dense: np.ndarray) -> None:
    for place in range(rows.shape[0]):
        row = rows[place]
        for entry in range(indptr[row], indptr[row + 1]):
            dense[place, indices[entry]] = data[entry]
