"""Cells to read: an AnnData, or an h5ad file of which only ``obs``, the gene names and blocks of ``X`` are loaded."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
from anndata import AnnData
from scipy import sparse

from perturbench_lamin.errors import InputError, some
from perturbench_lamin.storage.anndata_file import AnnDataFile
from perturbench_lamin.storage.matrix import StoredMatrix, checked

BLOCK_VALUES = 1 << 24
"""Values (stored ones, of a sparse matrix) that a block read from disk holds: bounds the memory."""

Source: TypeAlias = "str | Path | AnnData"


@dataclass(frozen=True)
class Cells:
    """Expression of cells with their annotation.

    Attributes:
        obs: one row per cell.
        genes: one name per column of ``X``.
        X: cells × genes: CSR, CSC or dense, in memory or on disk.
        where: the file's name, for messages.
    """

    obs: pd.DataFrame
    genes: pd.Index
    X: Any
    where: str

    @property
    def is_csc(self) -> bool:
        """Whether ``X`` is stored by column."""
        return getattr(self.X, "format", None) == "csc"

    def row_blocks(self) -> Iterator[tuple[slice, Any]]:
        """Yield ``X`` in blocks of rows, as canonical CSR or C-contiguous dense blocks.

        A matrix on disk is read a block at a time, except one stored by column, which is read whole.
        """
        X = self._loaded().tocsr() if self.is_csc else self.X
        for rows in _slices(X, axis=0):
            # One block in memory: a slice would copy it.
            yield rows, _floating(X.major(rows.start, rows.stop) if isinstance(X, StoredMatrix) else X)

    def column_blocks(self) -> Iterator[tuple[slice, Any]]:
        """Yield ``X``, stored by column, in blocks of columns as canonical CSC."""
        X = self.X
        for columns in _slices(X, axis=1):
            yield columns, _floating(X.major(columns.start, columns.stop) if isinstance(X, StoredMatrix) else X)

    def in_memory(self) -> Any:
        """``X`` as a whole, CSR or dense, for what needs all cells of a group at once."""
        return self._loaded().tocsr() if self.is_csc else self._loaded()

    def _loaded(self) -> Any:
        return self.X.whole() if isinstance(self.X, StoredMatrix) else self.X


@contextmanager
def open_cells(source: Source, name: str) -> Iterator[Cells]:
    """Open cells for reading.

    Args:
        source: an AnnData, or the path of an h5ad file.
        name: what to call them in messages, where ``source`` has no path.

    Raises:
        InputError: there is no such file, its X is none that can be read, or a gene name occurs twice.
        IntegrityError: the file is damaged or contradicts itself.
    """
    if isinstance(source, AnnData):
        yield _checked(Cells(source.obs, source.var_names, _given(source, name), name))
        return
    with AnnDataFile(source) as file:
        file.require("obs", "var")
        if "X" not in file:
            raise _no_matrix(source)
        yield _checked(Cells(file.obs, file.var_table.names, file.matrix("X"), str(source)))


def _given(source: AnnData, name: str) -> Any:
    """X of an AnnData object: checked in memory; where it stays on disk, opened for reading as a file is."""
    if source.X is None:
        raise _no_matrix(name)
    on_disk = getattr(source.X, "group", source.X)  # of a backed object
    if not hasattr(on_disk, "file"):
        return checked(source.X, name)
    matrix = StoredMatrix(on_disk, Path(str(source.filename)), "X")
    matrix.require_shape(source.shape)
    return matrix


def _no_matrix(where: object) -> InputError:
    return InputError("There is no X", where=where, fix="Put the log1p expression into X.")


def _checked(cells: Cells) -> Cells:
    if not cells.genes.is_unique:
        twice = cells.genes[cells.genes.duplicated()].unique()
        raise InputError(
            f"{len(twice):,} gene names occur more than once",
            where=f"{cells.where}, var_names",
            fix=f"Make them unique: {some(map(repr, twice))}.",
        )
    if not all(cells.X.shape):
        rows, columns = cells.X.shape
        raise InputError(f"X has {rows:,} cells and {columns:,} genes", where=cells.where, fix="Give it some.")
    return cells


def _slices(X: Any, axis: int) -> Iterator[slice]:
    length = X.shape[axis]
    stored = X.entries if isinstance(X, StoredMatrix) else 0
    step = max(1, int(length * BLOCK_VALUES / max(stored, 1))) if stored else max(length, 1)
    for start in range(0, length, step):
        yield slice(start, min(start + step, length))


def _floating(block: Any) -> Any:
    """A block in float32 or float64, dense ones C-contiguous."""
    dtype = block.dtype if block.dtype in (np.float32, np.float64) else np.dtype(np.float64)
    return block.astype(dtype, copy=False) if sparse.issparse(block) else np.ascontiguousarray(block, dtype=dtype)
