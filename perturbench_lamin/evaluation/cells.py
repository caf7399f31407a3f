"""Cells to read: an AnnData, or an h5ad file of which only ``obs``, the gene names and blocks of ``X`` are loaded."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import h5py
import numpy as np
import pandas as pd
from anndata import AnnData
from anndata.io import read_elem, sparse_dataset
from scipy import sparse

from perturbench_lamin.errors import InputError, some

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
            yield rows, _canonical(X if _in_memory(X) else X[rows])  # one block: a slice would copy it

    def column_blocks(self) -> Iterator[tuple[slice, Any]]:
        """Yield ``X``, stored by column, in blocks of columns as canonical CSC."""
        for columns in _slices(self.X, axis=1):
            yield columns, _canonical(self.X if _in_memory(self.X) else self.X[:, columns])

    def in_memory(self) -> Any:
        """``X`` as a whole, CSR or dense, for what needs all cells of a group at once."""
        if isinstance(self.X, h5py.Dataset):
            return self.X[:]
        return self.X if isinstance(self.X, np.ndarray) else self._loaded().tocsr()

    def _loaded(self) -> Any:
        return self.X if sparse.issparse(self.X) else self.X.to_memory()


@contextmanager
def open_cells(source: Source, name: str) -> Iterator[Cells]:
    """Open cells for reading.

    Args:
        source: an AnnData, or the path of an h5ad file.
        name: what to call them in messages, where ``source`` has no path.

    Raises:
        InputError: there is no such file, it is not an h5ad file, or a gene name occurs twice.
    """
    if isinstance(source, AnnData):
        yield _checked(Cells(source.obs, source.var_names, source.X, name))
        return
    with _open_h5ad(Path(source)) as file:
        yield _checked(_read(file, str(source)))


def _read(file: h5py.File, where: str) -> Cells:
    missing = [key for key in ("X", "obs", "var") if key not in file]
    if missing:
        raise InputError(f"The file has no {', '.join(missing)}", where=where, fix="Write it with AnnData.write_h5ad.")
    X = file["X"] if isinstance(file["X"], h5py.Dataset) else sparse_dataset(file["X"])
    return Cells(read_elem(file["obs"]), read_elem(file["var"]).index, X, where)


def _open_h5ad(path: Path) -> h5py.File:
    if not path.is_file():
        raise InputError("No such file", where=path, fix="Check the path.")
    try:
        return h5py.File(path, "r")
    except OSError as error:
        raise InputError(
            f"Not a readable h5ad file: {error}", where=path, fix="Write it with AnnData.write_h5ad."
        ) from error


def _checked(cells: Cells) -> Cells:
    if cells.X is None:
        raise InputError("There is no X", where=cells.where, fix="Put the log1p expression into X.")
    if not isinstance(cells.X, (np.ndarray, h5py.Dataset)) and getattr(cells.X, "format", None) not in ("csr", "csc"):
        kind = type(cells.X).__name__
        raise InputError(f"Cannot read X of type {kind}", where=cells.where, fix="Make it CSR, CSC or a numpy array.")
    if not cells.genes.is_unique:
        twice = cells.genes[cells.genes.duplicated()].unique()
        raise InputError(
            f"{len(twice):,} gene names occur more than once",
            where=f"{cells.where}, var_names",
            fix=f"Make them unique: {some(twice)}.",
        )
    return cells


def _slices(X: Any, axis: int) -> Iterator[slice]:
    length = X.shape[axis]
    step = max(length, 1) if _in_memory(X) else max(1, int(length * BLOCK_VALUES / max(_stored(X), 1)))
    for start in range(0, length, step):
        yield slice(start, min(start + step, length))


def _in_memory(X: Any) -> bool:
    return sparse.issparse(X) or isinstance(X, np.ndarray)


def _stored(X: Any) -> int:
    """Stored values of a matrix on disk."""
    return int(np.prod(X.shape)) if isinstance(X, h5py.Dataset) else int(X.group["data"].shape[0])


def _canonical(block: Any) -> Any:
    """Floating point; sparse blocks without repeated entries (their squares would be wrong)."""
    if not sparse.issparse(block):
        return np.ascontiguousarray(block, dtype=None if _is_float(block) else np.float64)
    if not block.has_canonical_format:
        block = block.copy()
        block.sum_duplicates()
    return block if _is_float(block) else block.astype(np.float64)


def _is_float(block: Any) -> bool:
    return block.dtype in (np.float32, np.float64)
