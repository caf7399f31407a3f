"""Counts in an h5ad file, read by ranges of rows: the matrix is never in memory as a whole."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from types import TracebackType

import pandas as pd
from scipy import sparse

from perturbench_lamin.contracts import COUNTS_LAYER
from perturbench_lamin.curation.source import CountSource
from perturbench_lamin.curation.transposed import TransposedMatrix
from perturbench_lamin.errors import InputError, nearest
from perturbench_lamin.storage.anndata_file import AnnDataFile
from perturbench_lamin.storage.matrix import StoredMatrix

RAW = "raw/X"


class H5adSource(CountSource):
    """An h5ad file's counts, with its tables of cells and genes; what is read has passed the gate of ``storage``.

    CSR and dense matrices stream by rows. A CSC matrix is first brought into bands of rows in a temporary file
    (12 bytes a value of float32, in the folder that TMPDIR names).

    Args:
        path: the file, or one that is open, which stays so.
        layer: which matrix holds the counts: a layer's name, ``"X"``, ``"raw"`` for ``raw.X`` with its own genes, or a
            matrix by its place, such as ``layers/counts``. None takes ``layers["counts"]`` where there is one and
            ``X`` otherwise.

    Attributes:
        others: what else ``layer`` may name.
        matrix_path: the matrix that is read, such as ``layers/counts``.
        matrix: that matrix.

    Raises:
        InputError: no such file, layer or matrix.
        IntegrityError: the file is not readable as HDF5, or contradicts itself.
    """

    def __init__(self, path: str | Path | AnnDataFile, *, layer: str | None = None) -> None:
        self._own = not isinstance(path, AnnDataFile)
        self.file = path if isinstance(path, AnnDataFile) else AnnDataFile(path)
        self.path = self.file.path
        self._transposed: TransposedMatrix | None = None
        try:
            found = _matrices(self.file)
            matrix = self.file.matrix(_matrix_place(self.file, found, layer))
            self._hold(matrix, self.file.obs_table.names, self.file.columns_of(matrix.place))
        except BaseException:
            self.close()
            raise
        self.others = tuple(name for name, place in found.items() if place != self.matrix_path)

    def _hold(self, matrix: StoredMatrix, rows: pd.Index, columns: pd.Index | None) -> None:
        """Take a matrix; columns without names are numbered."""
        self.matrix_path, self.matrix, self.entries = matrix.place, matrix, matrix.entries
        self.obs_names = rows
        self.var_names = pd.RangeIndex(matrix.shape[1]).map(str) if columns is None else columns
        self._transposed = TransposedMatrix(matrix) if matrix.format == "csc" else None

    @cached_property
    def obs(self) -> pd.DataFrame:
        """The table of cells."""
        return self.file.obs

    @cached_property
    def var(self) -> pd.DataFrame:
        """The table of the matrix's genes."""
        return self.file.table("raw/var").frame() if self.matrix_path.startswith("raw") else self.file.var

    def read_rows(self, start: int, stop: int) -> sparse.csr_matrix:
        """Rows ``start`` to ``stop``, from disk."""
        return self.matrix.rows(start, stop) if self._transposed is None else self._transposed.read(start, stop)

    def close(self) -> None:
        """Remove what was made to read it, and close the file if it was opened here."""
        if self._transposed is not None:
            self._transposed.close()
        if self._own:
            self.file.close()

    def __enter__(self) -> H5adSource:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _matrices(file: AnnDataFile) -> dict[str, str]:
    """The file's matrices of cells by genes: the name that chooses one → its place. A layer may be called ``raw``."""
    first = {name: place for name, place in (("X", "X"), ("raw", RAW)) if place in file}
    return first | {name: f"layers/{name}" for name in file.names("layers")}


def _matrix_place(file: AnnDataFile, found: dict[str, str], layer: str | None) -> str:
    places = found.values()
    wanted = layer if layer is not None else COUNTS_LAYER if f"layers/{COUNTS_LAYER}" in places else "X"
    if wanted in found:
        return found[wanted]
    if wanted in places or (wanted.startswith("obsm/") and wanted in file):
        return wanted
    if wanted == "X":
        fix = f"Name the matrix of counts (--layer): {', '.join(found) or 'there is none'}."
        raise InputError("The file has no matrix X", where=file.path, fix=fix)
    raise InputError(f"No layer {wanted!r}", where=file.path, fix=nearest(wanted, found))
