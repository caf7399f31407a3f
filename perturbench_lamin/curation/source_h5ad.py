"""Counts in an h5ad file, read by ranges of rows through h5py: the matrix is never in memory as a whole."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Any

import anndata as ad
import h5py
import numpy as np
import pandas as pd
from scipy import sparse

from perturbench_lamin.contracts import COUNTS_LAYER
from perturbench_lamin.curation.source import CountSource, canonical, csr_rows
from perturbench_lamin.curation.transposed import TransposedMatrix
from perturbench_lamin.errors import InputError, IntegrityError, nearest

RAW = "raw/X"


class H5adSource(CountSource):
    """An h5ad file's counts, with its tables of cells and genes.

    CSR and dense matrices stream by rows. A CSC matrix is first brought into bands of rows in a temporary file
    (12 bytes a value of float32, in the folder that TMPDIR names).

    Args:
        path: the file.
        layer: which matrix holds the counts: a layer's name, ``"X"``, or ``"raw"`` for ``raw.X`` with its own genes.
            None takes ``layers["counts"]`` where there is one and ``X`` otherwise.

    Attributes:
        obs: the table of cells.
        var: the table of genes.
        others: what else ``layer`` may name.
        matrix_path: the matrix that is read, such as ``layers/counts``.

    Raises:
        InputError: no such file, layer or matrix.
        IntegrityError: the file is not readable as HDF5.
    """

    def __init__(self, path: str | Path, *, layer: str | None = None) -> None:
        self.path = Path(path)
        self._file = _open(self.path)
        found = _matrices(self._file)
        self.matrix_path = _matrix_path(found, self.path, layer)
        self.others = tuple(name for name, path in found.items() if path != self.matrix_path)
        self.obs, self.var = self._table("obs"), self._table("raw/var" if self.matrix_path == RAW else "var")
        self.obs_names, self.var_names = self.obs.index, self.var.index
        self._transposed: TransposedMatrix | None = None
        self._read = self._reader()

    def read_rows(self, start: int, stop: int) -> sparse.csr_matrix:
        """Rows ``start`` to ``stop``, from disk."""
        return self._read(start, stop)

    def close(self) -> None:
        """Close the file."""
        if self._transposed is not None:
            self._transposed.close()
        self._file.close()

    def __enter__(self) -> H5adSource:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _table(self, name: str) -> pd.DataFrame:
        table = ad.io.read_elem(self._file[name])
        table.index = table.index.astype(str)
        return table

    def _reader(self) -> Any:
        matrix = self._file[self.matrix_path]
        kind = "array" if isinstance(matrix, h5py.Dataset) else _text(matrix.attrs.get("encoding-type", "unknown"))
        shape = tuple(matrix.shape if kind == "array" else (int(n) for n in matrix.attrs["shape"]))
        if shape != self.shape:
            raise IntegrityError(f"{self.matrix_path} has shape {shape}, obs and var say {self.shape}", where=self.path)
        self.entries = int(np.prod(shape)) if kind == "array" else int(matrix["data"].shape[0])
        if kind == "array":
            return lambda start, stop: canonical(sparse.csr_matrix(matrix[start:stop]))
        if kind == "csc_matrix":
            self._transposed = TransposedMatrix(matrix, self.shape, self.path)
            return self._transposed.read
        if kind != "csr_matrix":
            raise InputError(
                f"{self.matrix_path} is a {kind!r}, not a CSR, CSC or dense matrix",
                where=self.path,
                fix="Rewrite the file with anndata: read_h5ad(path).write_h5ad(new_path).",
            )
        return self._csr_reader(matrix)

    def _csr_reader(self, matrix: h5py.Group) -> Any:
        indptr, indices, data = matrix["indptr"][:].astype(np.int64), matrix["indices"], matrix["data"]
        if len(indptr) != self.shape[0] + 1 or (np.diff(indptr) < 0).any() or indptr[-1] != data.shape[0]:
            raise IntegrityError(f"The row pointers of {self.matrix_path} are inconsistent", where=self.path)

        def read(start: int, stop: int) -> sparse.csr_matrix:
            low, high = int(indptr[start]), int(indptr[stop])
            return csr_rows(data[low:high], indices[low:high], indptr[start : stop + 1] - low, self.shape[1])

        return read


def _open(path: Path) -> h5py.File:
    if not path.exists():
        raise InputError("No such file", where=path, fix="Check the path.")
    try:
        return h5py.File(path, "r")
    except OSError as error:
        raise IntegrityError(f"Not readable as HDF5: {error}", where=path, fix="Fetch or write it again.") from error


def _matrices(file: h5py.File) -> dict[str, str]:
    """The file's matrices of cells by genes: the name that chooses one → its path. A layer may be called ``raw``."""
    layers = list(file["layers"]) if "layers" in file else []
    first = {name: path for name, path in (("X", "X"), ("raw", RAW)) if path in file}
    return first | {name: f"layers/{name}" for name in layers}


def _matrix_path(found: dict[str, str], path: Path, layer: str | None) -> str:
    wanted = layer if layer is not None else COUNTS_LAYER if f"layers/{COUNTS_LAYER}" in found.values() else "X"
    if wanted in found:
        return found[wanted]
    if wanted == "X":
        fix = f"Name the matrix of counts (--layer): {', '.join(found) or 'there is none'}."
        raise InputError("The file has no matrix X", where=path, fix=fix)
    raise InputError(f"No layer {wanted!r}", where=path, fix=nearest(wanted, found))


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
