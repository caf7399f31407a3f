"""Sums of outer products of cells, Σ x xᵀ, in float64, and their eigenvectors: of sparse cells from their stored
values alone."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from numba import njit
from scipy import linalg, sparse

from perturbench_lamin.evaluation.threads import over_ranges

TILE_CELLS = 2048
"""Cells that every gene visits before the next ones are read: their values stay in the cache."""

DENSE_VALUES = 1 << 22
"""Values of the dense copies made of a block of rows."""

DENSE_SHARE = 0.3
"""From this share of stored values on, a dense product is faster."""


def outer_products(n_genes: int) -> np.ndarray:
    """An empty sum: genes × genes."""
    return np.zeros((n_genes, n_genes), order="F")


def largest_eigenvectors(gram: np.ndarray, n: int, mean: np.ndarray, k: int) -> np.ndarray:
    """Of Σ x xᵀ − n m mᵀ, from the upper triangle of ``gram``, which is overwritten.

    Returns:
        columns by rising eigenvalue, (genes × k).
    """
    gram = linalg.blas.dsyr(-float(n), mean, a=gram, overwrite_a=True)
    chosen = (len(mean) - k, len(mean) - 1)
    return np.asarray(linalg.eigh(gram, lower=False, subset_by_index=chosen, overwrite_a=True)[1])


def add_outer_products(block: Any, gram: np.ndarray) -> np.ndarray:
    """Add Σ x xᵀ over the rows of a block to the upper triangle of ``gram``, and return it.

    Args:
        block: canonical CSR or dense, cells × genes.
        gram: genes × genes, float64, Fortran order; it may be overwritten.
    """
    if sparse.issparse(block) and block.nnz < DENSE_SHARE * np.prod(block.shape):
        _add_sparse(block, gram.T)  # C order, whose lower triangle is the upper one of ``gram``
        return gram
    step = max(1, DENSE_VALUES // max(block.shape[1], 1))
    for start in range(0, block.shape[0], step):
        part = block[start : start + step]
        dense = (part.toarray() if sparse.issparse(part) else part).astype(np.float64)
        gram = linalg.blas.dsyrk(1.0, dense.T, beta=1.0, c=gram, overwrite_c=True)
    return gram


def _add_sparse(block: Any, lower: np.ndarray) -> None:
    n_genes = block.shape[1]
    ordered = block if block.has_sorted_indices else block.sorted_indices()
    for start in range(0, block.shape[0], TILE_CELLS):
        tile = ordered[start : start + TILE_CELLS]
        indptr, indices, data = tile.indptr.astype(np.int64), tile.indices.astype(np.uint32), tile.data
        before = np.arange(1.0, len(indices) + 1) - np.repeat(indptr[:-1], np.diff(indptr))
        work = np.bincount(indices, weights=before, minlength=n_genes)
        arrays = (indptr, indices, data, *_places(indptr, indices, n_genes), lower)
        over_ranges(partial(_add_range, arrays), n_genes, work)


def _add_range(arrays: tuple[np.ndarray, ...], first: int, last: int) -> None:
    _add_rows(first, last, *arrays)


@njit(nogil=True, cache=True)
def _places(indptr, indices, n_genes):  # type: ignore[no-untyped-def]
    """The stored values of each gene: where each gene starts, then the cell and the place of each value."""
    starts = np.zeros(n_genes + 1, dtype=np.int64)
    for k in range(len(indices)):
        starts[indices[k] + 1] += 1
    for gene in range(n_genes):
        starts[gene + 1] += starts[gene]
    filled = starts[:-1].copy()
    cells, places = np.empty(len(indices), dtype=np.int32), np.empty(len(indices), dtype=np.int64)
    for cell in range(len(indptr) - 1):
        for k in range(indptr[cell], indptr[cell + 1]):
            cells[filled[indices[k]]] = cell
            places[filled[indices[k]]] = k
            filled[indices[k]] += 1
    return starts, cells, places


@njit(nogil=True, cache=True)
def _add_rows(first, last, indptr, indices, data, starts, cells, places, lower):  # type: ignore[no-untyped-def]
    for gene in range(first, last):
        row = lower[gene]
        for k in range(starts[gene], starts[gene + 1]):
            own = places[k]
            value = np.float64(data[own])
            for other in range(indptr[cells[k]], own + 1):  # genes up to this one
                row[indices[other]] += value * data[other]
