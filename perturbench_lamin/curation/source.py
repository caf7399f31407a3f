"""Where counts come from: one interface over matrices in memory, files on disk, and views of either.

A source is read by ranges of rows, so that nothing downstream needs the whole matrix.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Hashable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from scipy import sparse

from perturbench_lamin.errors import InputError
from perturbench_lamin.storage.matrix import canonical, checked

CHUNK_ENTRIES = 1 << 21
"""How many stored values a chunk of rows aims at: 16 MiB of float32 values and int32 gene numbers."""


class CountSource(ABC):
    """Cells × genes, read by rows.

    Attributes:
        obs_names: the cells' names, in row order.
        var_names: the genes' names, in column order.
        entries: how many values a whole pass reads (stored values of a sparse source, all of a dense one).
        others: the names of further matrices that the counts might be in, where there are some.
    """

    obs_names: pd.Index
    var_names: pd.Index
    entries: int
    others: tuple[str, ...] = ()

    @abstractmethod
    def read_rows(self, start: int, stop: int) -> sparse.csr_matrix:
        """Rows ``start`` to ``stop`` (exclusive), canonical: sorted int32 gene numbers, each once a row."""

    @property
    def shape(self) -> tuple[int, int]:
        """(cells, genes)."""
        return len(self.obs_names), len(self.var_names)

    def default_rows(self) -> int:
        """How many rows a chunk has by default, from the mean number of values a row."""
        cells = max(self.shape[0], 1)
        return max(1, min(cells, CHUNK_ENTRIES * cells // max(self.entries, 1)))

    def row_chunks(self, n_rows: int | None = None, first: int = 0) -> Iterator[tuple[int, sparse.csr_matrix]]:
        """Every row from ``first`` on once, in order, as ``(first row, chunk)``."""
        step = n_rows or self.default_rows()
        for start in range(first, self.shape[0], step):
            yield start, self.read_rows(start, min(start + step, self.shape[0]))

    def select_cells(self, cells: np.ndarray | Sequence[bool] | Sequence[int]) -> CountSource:
        """A view of some cells: a boolean mask, or row numbers in any order."""
        from perturbench_lamin.curation.source_views import CellView

        return CellView(self, as_positions(cells, self.shape[0], "cells"))

    def select_genes(self, genes: np.ndarray | Sequence[bool] | Sequence[int]) -> CountSource:
        """A view of some genes: a boolean mask, or column numbers in any order."""
        from perturbench_lamin.curation.source_views import GeneView

        columns = as_positions(genes, self.shape[1], "genes")
        return GeneView(self, columns, self.var_names[columns])

    def rename(
        self,
        *,
        genes: Mapping[Hashable, str] | Sequence[str] | None = None,
        cells: Mapping[Hashable, str] | Sequence[str] | None = None,
    ) -> CountSource:
        """A view with other names: a mapping of the names that change, or all of them in order."""
        from perturbench_lamin.curation.source_views import RenamedView

        return RenamedView(self, _renamed(self.obs_names, cells), _renamed(self.var_names, genes))


class MatrixSource(CountSource):
    """A matrix in memory: CSR (read without a copy), CSC (converted once) or dense.

    Args:
        matrix: cells × genes.
        obs_names: the cells' names.
        var_names: the genes' names.

    Raises:
        InputError: the names do not fit the matrix, or the matrix contradicts itself.
    """

    def __init__(self, matrix: Any, obs_names: Sequence[str] | pd.Index, var_names: Sequence[str] | pd.Index) -> None:
        self.obs_names, self.var_names = pd.Index(obs_names), pd.Index(var_names)
        if tuple(matrix.shape) != self.shape:
            raise InputError(
                f"The matrix has shape {tuple(matrix.shape)}, the names say {self.shape}",
                where="MatrixSource",
                fix="Give cells × genes (transpose a deposit of genes × cells).",
            )
        known = checked(_plain(matrix), "MatrixSource")
        self._matrix: Any = known.tocsr() if sparse.issparse(known) else known
        self.entries = int(self._matrix.nnz if hasattr(self._matrix, "nnz") else self._matrix.size)

    def read_rows(self, start: int, stop: int) -> sparse.csr_matrix:
        """Rows ``start`` to ``stop``, sharing memory with a CSR matrix."""
        if not sparse.issparse(self._matrix):
            return canonical(sparse.csr_matrix(self._matrix[start:stop]))
        low, high = int(self._matrix.indptr[start]), int(self._matrix.indptr[stop])
        parts = (
            self._matrix.data[low:high],
            self._matrix.indices[low:high],
            self._matrix.indptr[start : stop + 1] - low,
        )
        rows = sparse.csr_matrix(parts, shape=(stop - start, self.shape[1]))
        rows.has_canonical_format = True  # the whole is canonical
        return rows


def _plain(matrix: Any) -> Any:
    if not sparse.issparse(matrix):
        return np.asarray(matrix)
    return matrix if matrix.format in ("csr", "csc") else matrix.tocsr()


def as_positions(selection: np.ndarray | Sequence[bool] | Sequence[int], length: int, what: str) -> np.ndarray:
    """Row or column numbers from a boolean mask or a sequence of numbers.

    Raises:
        InputError: a mask of another length, a number out of range, or neither.
    """
    array = np.asarray(selection)
    if array.dtype == bool:
        if array.shape != (length,):
            raise InputError(f"The mask has {array.size:,} values for {length:,} {what}", where=f"select_{what}")
        return np.flatnonzero(array)
    if array.size == 0:
        return np.zeros(0, dtype=np.int64)
    if not np.issubdtype(array.dtype, np.integer) or array.min() < 0 or array.max() >= length:
        raise InputError(f"The selection must be a mask or numbers from 0 to {length - 1:,}", where=f"select_{what}")
    return array.astype(np.int64)


def _renamed(names: pd.Index, change: Mapping[Hashable, str] | Sequence[str] | None) -> pd.Index:
    if change is None:
        return names
    if isinstance(change, Mapping):
        unknown = [name for name in change if name not in names]
        if unknown:
            raise InputError(
                f"{len(unknown):,} names to change are unknown", where="rename", fix=f"First: {unknown[0]}."
            )
        return pd.Index([change.get(name, name) for name in names])
    if len(change) != len(names):
        raise InputError(f"{len(change):,} new names for {len(names):,} old ones", where="rename")
    return pd.Index(change)
