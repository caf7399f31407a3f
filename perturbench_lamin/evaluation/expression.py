"""Groups of cells in gene space, made dense one at a time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, overload

import numpy as np
from scipy import sparse


@dataclass(frozen=True)
class DenseGroups(Sequence[np.ndarray]):
    """Each group's cells as a dense float64 array (cells × genes), copied when asked for.

    Attributes:
        X: all cells × genes, CSR or dense, in memory.
        rows: each group's rows of ``X``.
        order: the column of ``X`` of each gene.
    """

    X: Any
    rows: list[np.ndarray]
    order: np.ndarray

    def __len__(self) -> int:
        return len(self.rows)

    @overload
    def __getitem__(self, item: int) -> np.ndarray: ...

    @overload
    def __getitem__(self, item: slice) -> list[np.ndarray]: ...

    def __getitem__(self, item: int | slice) -> np.ndarray | list[np.ndarray]:
        if isinstance(item, slice):
            return [self._dense(rows) for rows in self.rows[item]]
        return self._dense(self.rows[item])

    def _dense(self, rows: np.ndarray) -> np.ndarray:
        part = self.X[rows]
        dense = part.toarray() if sparse.issparse(part) else np.asarray(part)
        return dense.astype(np.float64)[:, self.order]

    def take(self, groups: Sequence[int]) -> DenseGroups:
        """Some of the groups."""
        return DenseGroups(self.X, [self.rows[group] for group in groups], self.order)
