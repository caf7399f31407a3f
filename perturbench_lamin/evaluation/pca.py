"""Principal components of the true cells, from their exact covariance: one pass, memory of genes × genes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import linalg, sparse

from perturbench_lamin.errors import InputError
from perturbench_lamin.evaluation.cells import Cells
from perturbench_lamin.evaluation.pairwise import products

DENSE_VALUES = 1 << 24
"""Values of the dense copies made of a block of rows."""


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
    total, gram = np.zeros(len(cells.genes)), np.zeros((len(cells.genes),) * 2, order="F")
    for _, block in cells.row_blocks():
        for part in dense_parts(block):
            total += part.sum(axis=0)
            gram = linalg.blas.dsyrk(1.0, part.T, beta=1.0, c=gram, overwrite_c=True)  # the upper triangle
    mean = total / n
    gram -= n * np.outer(mean, mean)
    k = min(n_components, n - 1, len(mean))
    _, vectors = linalg.eigh(gram, lower=False, subset_by_index=(len(mean) - k, len(mean) - 1), overwrite_a=True)
    return Basis(mean[order], _signed(vectors[order, ::-1]))


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
    used = codes >= 0
    projected = np.empty((int(used.sum()), basis.components.shape[1]))
    done = 0
    for rows, block in cells.row_blocks():
        part = _projected(block[used[rows]], unsorted) - offset
        projected[done : done + len(part)] = part
        done += len(part)
    groups = codes[used]
    by_group = projected[np.argsort(groups, kind="stable")]
    return np.split(by_group, np.searchsorted(np.sort(groups), np.arange(1, n_groups)))


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
