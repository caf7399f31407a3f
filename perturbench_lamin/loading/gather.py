"""Rows of a CSR matrix straight into a dense array or into group means, on all cores."""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Protocol

import numpy as np

from perturbench_lamin.loading.kernels import group_moments, scatter_rows
from perturbench_lamin.loading.packed_kernels import expand_rows, packed_moments
from perturbench_lamin.loading.packed_rows import PackedRows

SMALL = 1 << 20
"""Up to so many values in the result, one thread is as fast as several."""

PIECES = 16
"""Pieces of the work for each thread: one that is held up leaves more of them to the others."""

STREAMED = 32 << 20
"""From so many bytes on, a result is written past the caches: it would not stay there until it is read."""


class Buffers:
    """Large arrays that are handed out again once nobody holds them.

    Fresh memory costs more than filling it: the system zeroes each page at its first use. An array counts as
    held as long as it, or a tensor made of it by ``torch.from_numpy``, is alive.

    Several threads may take arrays at once.

    Args:
        keep: how many arrays to keep at most.
    """

    def __init__(self, keep: int = 8) -> None:
        self.keep = keep
        self._lock = threading.Lock()
        self._kept: list[tuple[np.ndarray, weakref.ref]] = []

    def take(self, rows: int, columns: int, dtype: np.dtype) -> np.ndarray:
        """An array rows × columns of arbitrary content."""
        with self._lock:
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


class Csr(Protocol):
    """The parts of a canonical CSR matrix (no entry twice), such as scipy's."""

    indptr: np.ndarray
    indices: np.ndarray
    data: np.ndarray
    shape: tuple[int, int]


def gather_rows(
    matrix: Csr | PackedRows, rows: np.ndarray, *, threads: int | None = None, buffers: Buffers | None = None
) -> np.ndarray:
    """The given rows as a dense array.

    Plain threads rather than numba's own: those share OpenMP with torch, whose waiting threads then keep the
    cores busy, and small training steps take ten times as long.

    Args:
        matrix: cells × genes, as CSR or packed.
        rows: row numbers, in any order, with repeats.
        threads: how many; by default as many as the process may use, one for a small result.
        buffers: where to take the result's memory from; fresh memory by default.

    Returns:
        rows × genes, of the matrix's dtype.

    Raises:
        IndexError: a row number is out of range.
    """
    rows = _checked(matrix, rows)
    dense = (buffers or Buffers(keep=0)).take(len(rows), matrix.shape[1], matrix.data.dtype)
    if threads is None:
        threads = cores() if dense.size > SMALL else 1
    pieces = 1 if threads == 1 else PIECES * threads
    blocks = zip(np.array_split(rows, pieces), np.array_split(dense, pieces), strict=True)
    if isinstance(matrix, PackedRows):
        packed, stream = (matrix.indptr, matrix.bits, matrix.data), dense.nbytes >= STREAMED
        _on_threads(threads, expand_rows, [(*packed, *block, stream) for block in blocks])
    else:
        parts = matrix.indptr, matrix.indices, matrix.data
        _on_threads(threads, scatter_rows, [(*parts, *block) for block in blocks])
    return dense


def group_means(
    matrix: Csr | PackedRows, rows: np.ndarray, groups: np.ndarray, n_groups: int, *, threads: int | None = None
) -> tuple[np.ndarray, float]:
    """The mean row of each group, and how far the rows scatter around it.

    Args:
        matrix: cells × genes, as CSR or packed.
        rows: row numbers, in any order, with repeats.
        groups: each row's group, 0 … ``n_groups`` - 1, none of them empty.
        n_groups: how many groups.
        threads: as for :func:`gather_rows`; the result does not depend on it.

    Returns:
        The means (groups × genes, float32, summed in float64), and Σ (x − its group's mean)² over all given
        rows and all genes.

    Raises:
        IndexError: a row number is out of range.
    """
    rows, order = _checked(matrix, rows), np.argsort(groups, kind="stable")
    bounds = np.searchsorted(groups[order], np.arange(n_groups + 1))
    means, scatter = np.empty((n_groups, matrix.shape[1]), np.float32), np.empty(n_groups)
    if threads is None:
        threads = cores() if len(rows) * matrix.shape[1] > SMALL else 1
    work, places = (packed_moments, matrix.bits) if isinstance(matrix, PackedRows) else (group_moments, matrix.indices)
    parts = matrix.indptr, places, matrix.data, rows[order]
    cuts = np.searchsorted(bounds, np.linspace(0, len(rows), threads + 1))  # pieces of about equal numbers of rows
    pieces = [slice(start, stop) for start, stop in pairwise(cuts)]
    _on_threads(
        threads,
        work,
        [(*parts, bounds[piece.start : piece.stop + 1], means[piece], scatter[piece]) for piece in pieces],
    )
    return means, float(scatter.sum())


def cores() -> int:
    """How many processor cores this process may use."""
    if hasattr(os, "sched_getaffinity"):  # not on every system
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _checked(matrix: Csr | PackedRows, rows: np.ndarray) -> np.ndarray:
    if len(rows) and not (rows.min() >= 0 and rows.max() < matrix.shape[0]):
        raise IndexError(f"Row numbers must lie in 0 … {matrix.shape[0] - 1}")
    return np.ascontiguousarray(rows, dtype=np.int64)


def _on_threads(threads: int, work: Callable[..., None], arguments: Sequence[tuple]) -> None:
    """Call ``work`` with each of the arguments; whichever thread is free takes the next, the caller's among them."""
    todo = iter(arguments)

    def take_turns() -> None:
        for given in todo:
            work(*given)

    if threads == 1:
        take_turns()
        return
    with ThreadPoolExecutor(threads - 1) as pool:
        others = [pool.submit(take_turns) for _ in range(threads - 1)]
        take_turns()
        for other in others:
            other.result()
