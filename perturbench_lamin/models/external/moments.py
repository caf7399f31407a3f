"""Mean and scatter of cells in one pass, and what follows from them: correlations, principal components."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from scipy import linalg, sparse

from perturbench_lamin.errors import InputError
from perturbench_lamin.evaluation.gram import add_outer_products

CONSTANT = 1e-12
"""A gene whose scatter is at most this share of its sum of squares has one value in all cells."""


@dataclass
class Moments:
    """Sums over cells, in float64.

    Attributes:
        n_genes: number of genes.
        count: cells so far.
        total: sum of the cells (genes).
        gram: Σ x xᵀ (genes × genes, the upper triangle).
    """

    n_genes: int
    count: int = 0
    total: np.ndarray = field(init=False)
    gram: np.ndarray = field(init=False)

    def __post_init__(self) -> None:
        self.total = np.zeros(self.n_genes)
        self.gram = np.zeros((self.n_genes, self.n_genes), order="F")

    def add(self, cells: np.ndarray) -> None:
        """Add a block of cells (cells × genes)."""
        if len(cells):
            self.count += len(cells)
            self.total += cells.sum(0, dtype=np.float64)
            self.gram = add_outer_products(sparse.csr_matrix(cells), self.gram)

    @property
    def mean(self) -> np.ndarray:
        """The mean cell (genes)."""
        return self.total / max(self.count, 1)

    def scatter(self) -> np.ndarray:
        """Σ (x − μ)(x − μ)ᵀ (genes × genes, the upper triangle), zero for genes of one value."""
        scatter = self.gram - self.count * np.outer(self.mean, self.mean)
        constant = np.diag(scatter) <= CONSTANT * np.diag(self.gram)
        scatter[constant] = 0
        scatter[:, constant] = 0
        return scatter

    def correlations(self) -> np.ndarray:
        """Pearson correlations of the genes (genes × genes), zero for genes of one value."""
        scatter = self.scatter()
        scatter = np.triu(scatter) + np.triu(scatter, 1).T
        spread = np.sqrt(np.diag(scatter))
        spread[spread == 0] = 1
        return np.clip(scatter / np.outer(spread, spread), -1, 1)

    def components(self, n_components: int) -> np.ndarray:
        """Principal components, by falling variance, the largest entry of each positive.

        Returns:
            genes × components, orthonormal columns.

        Raises:
            InputError: there are fewer cells or genes than that.
        """
        most = min(self.n_genes, self.count - 1)
        if n_components > most:
            raise InputError(
                f"{n_components} components of {self.count:,} cells and {self.n_genes:,} genes",
                where="n_components",
                fix=f"Give at most {max(most, 0)}.",
            )
        subset = (self.n_genes - n_components, self.n_genes - 1)
        _, vectors = linalg.eigh(self.scatter(), lower=False, subset_by_index=subset)
        vectors = vectors[:, ::-1]
        largest = np.abs(vectors).argmax(axis=0)
        return np.ascontiguousarray(vectors * np.sign(vectors[largest, np.arange(n_components)]))
