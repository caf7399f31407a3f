"""Rows of a CSR matrix straight into a dense array, on all cores, without the interpreter's lock."""

from __future__ import annotations

import os
import weakref
from concurrent.futures import ThreadPoolExecutor

import numba
import numpy as np
from scipy import sparse

SMALL = 1 << 20
"""Up to so many values in the result, one thread is as fast as several."""


class Buffers:
    """Large arrays that are handed out again once nobody holds them.

    Fresh memory costs more than filling it: the system zeroes each page at its first use. An array counts as
    held as long as it, or a tensor made of it by ``torch.from_numpy``, is alive.

    Args:
        keep: how many arrays to keep at most.
    """

    def __init__(self, keep: int = 4) -> None:
        self.keep = keep
        self._kept: list[tuple[np.ndarray, weakref.ref]] = []

    def take(self, rows: int, columns: int, dtype: np.dtype) -> np.ndarray:
        """An array rows × columns of arbitrary content."""
        for place, (whole, holder) in enumerate(self._kept):
            if holder() is None and whole.dtype == dtype and len(whole) >= rows and whole.shape[1] == columns:
                array = whole[:rows]
                self._kept[place] = (whole, weakref.ref(array))
                return array
        self._kept = [(whole, holder) for whole, holder in self._kept if holder() is not None]
        whole = np.empty((rows, columns), dtype=dtype)
        array = whole[:]
        if len(self._kept) < self.keep:
            self._kept.append((whole, weakref.ref(array)))
        return array


def gather_rows(
    matrix: sparse.csr_matrix, rows: np.ndarray, *, threads: int | None = None, buffers: Buffers | None = None
) -> np.ndarray:
    """The given rows as a dense array.

    Plain threads rather than numba's own: those share OpenMP with torch, whose waiting threads then keep the
    cores busy, and small training steps take ten times as long.

    Args:
        matrix: cells × genes, canonical CSR (no entry twice).
        rows: row numbers, in any order, with repeats.
        threads: how many; by default as many as the process may use, one for a small result.
        buffers: where to take the result's memory from; fresh memory by default.

    Returns:
        rows × genes, of the matrix's dtype.

    Raises:
        IndexError: a row number is out of range.
    """
    if len(rows) and not (rows.min() >= 0 and rows.max() < matrix.shape[0]):
        raise IndexError(f"Row numbers must lie in 0 … {matrix.shape[0] - 1}")
    rows = np.ascontiguousarray(rows, dtype=np.int64)
    dense = (buffers or Buffers(keep=0)).take(len(rows), matrix.shape[1], matrix.dtype)
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
        dense[place, :] = 0
        for entry in range(indptr[row], indptr[row + 1]):
            dense[place, indices[entry]] = data[entry]
