"""Principal components of the true cells, from their exact covariance: one pass, memory of genes × genes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import sparse

from perturbench_lamin.errors import InputError
from perturbench_lamin.evaluation import gram as processor
from perturbench_lamin.evaluation.cells import Cells
from perturbench_lamin.evaluation.device import accelerator
from perturbench_lamin.evaluation.pairwise import products
from perturbench_lamin.evaluation.threads import over_ranges

DENSE_VALUES = 1 << 24
"""Values of the dense copies made of a block of rows."""

PART_CELLS = 1024
"""Cells that are projected at a time."""


@dataclass(frozen=True)
class Basis:
    """Principal components.

    Attributes:
        mean: the cells' mean, (genes,).
        components: orthonormal columns by falling variance, (genes × components).
    """

    mean: np.ndarray
    components: np.ndarray

    def project(self, rows: np.ndarray) -> np.ndarray:
        """Rows of expression in the space of the components: rows × components."""
        return _projected(rows, self.components) - self.mean @ self.components


def fit_basis(cells: Cells, order: np.ndarray, n_components: int) -> Basis:
    """Principal components of all cells, not scaled.

    Args:
        cells: log1p expression.
        order: the basis's genes, as columns of ``cells``.
        n_components: how many; at most min(cells − 1, genes) are returned.

    Raises:
        InputError: there are fewer than two cells.
    """
    n = len(cells.obs)
    if n < 2:
        raise InputError(f"{n} cells are too few for principal components", where=cells.where)
    place: Any = accelerator() or processor
    total, gram = np.zeros(len(cells.genes)), place.outer_products(len(cells.genes))
    for _, block in cells.row_blocks():
        total += _column_sums(block)
        gram = place.add_outer_products(block, gram)
    mean = total / n
    vectors = place.largest_eigenvectors(gram, n, mean, min(n_components, n - 1, len(mean)))
    return Basis(mean[order], _signed(vectors[order, ::-1]))


def _column_sums(block: Any) -> np.ndarray:
    """In float64: scipy would sum float32 in float32."""
    if sparse.issparse(block):
        return np.bincount(block.indices, weights=block.data, minlength=block.shape[1])
    return np.asarray(block.sum(axis=0, dtype=np.float64))


def dense_parts(block: Any) -> Iterator[np.ndarray]:
    """Yield a block of rows as dense float64 pieces of bounded size."""
    step = max(1, DENSE_VALUES // max(block.shape[1], 1))
    for start in range(0, block.shape[0], step):
        part = block[start : start + step]
        yield (part.toarray() if sparse.issparse(part) else part).astype(np.float64)


def project_cells(cells: Cells, basis: Basis, order: np.ndarray, codes: np.ndarray, n_groups: int) -> list[np.ndarray]:
    """Each group's cells in the space of a basis.

    Args:
        cells: log1p expression.
        basis: over the genes in their sorted order.
        order: for each gene of the basis, its column in ``cells``.
        codes: each cell's group; −1 for cells to leave out.
        n_groups: number of groups.

    Returns:
        per group, (cells × components), cells in their order.
    """
    unsorted = np.empty_like(basis.components)
    unsorted[order] = basis.components
    offset = basis.mean @ basis.components
    by_group = np.argsort(codes, kind="stable")
    by_group = by_group[codes[by_group] >= 0]
    places = np.full(len(codes), -1)
    places[by_group] = np.arange(len(by_group))
    projected = np.empty((len(by_group), basis.components.shape[1]))
    for rows, block in cells.row_blocks():
        _project_into(projected, block, places[rows], unsorted, offset)
    return np.split(projected, np.searchsorted(codes[by_group], np.arange(1, n_groups)))


def _project_into(
    projected: np.ndarray, block: Any, places: np.ndarray, components: np.ndarray, offset: np.ndarray
) -> None:
    """Project a block's rows, a part at a time, to their places; rows without a place (−1) are left out."""

    def project(first: int, last: int) -> None:
        for start in range(first, last, PART_CELLS):
            part = slice(start, min(start + PART_CELLS, last))
            used = np.flatnonzero(places[part] >= 0)
            projected[places[part][used]] = _projected(block[part][used], components) - offset

    if (device := accelerator()) is not None:
        used = np.flatnonzero(places >= 0)
        projected[places[used]] = device.project(block[used], components) - offset
    elif sparse.issparse(block):
        over_ranges(project, len(places))
    else:
        project(0, len(places))  # the products use all cores


def _projected(block: Any, components: np.ndarray) -> np.ndarray:
    """Products with the components that, unlike those of BLAS, do not depend on where a row stands: ties stay ties."""
    if sparse.issparse(block):
        return np.asarray(block @ components)
    directions = np.ascontiguousarray(components.T)
    return np.concatenate(
        [np.empty((0, len(directions))), *(products(part, directions) for part in dense_parts(block))]
    )


def _signed(vectors: np.ndarray) -> np.ndarray:
    """Columns with their largest entry positive: a component's sign is arbitrary."""
    largest = np.abs(vectors).argmax(axis=0)
    return np.ascontiguousarray(vectors * np.sign(vectors[largest, np.arange(vectors.shape[1])]))
