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


class H5adSource(CountSource):
    """An h5ad file's counts, with its tables of cells and genes; what is read has passed the gate of ``storage``.

    CSR and dense matrices stream by rows. A CSC matrix is first brought into bands of rows in a temporary file
    (12 bytes a value of float32, in the folder that TMPDIR names).

    Args:
        path: the file, or one that is open, which stays so.
        layer: which matrix holds the counts: a layer's name, ``"X"``, or ``"raw/X"`` with the genes of ``raw/var``.
            None takes ``layers["counts"]`` where there is one and ``X`` otherwise.

    Attributes:
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
            self._open(_matrix_path(self.file, layer))
        except BaseException:
            self.close()
            raise

    def _open(self, place: str) -> None:
        self.matrix_path, self.matrix = place, self.file.matrix(place)
        columns = self.file.columns_of(place)
        self.obs_names = self.file.obs_table.names
        self.var_names = pd.RangeIndex(self.matrix.shape[1]).map(str) if columns is None else columns
        self.entries = self.matrix.entries
        if self.matrix.format == "csc":
            self._transposed = TransposedMatrix(self.matrix)

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


def _matrix_path(file: AnnDataFile, layer: str | None) -> str:
    layers = file.names("layers")
    if layer is None:
        layer = COUNTS_LAYER if COUNTS_LAYER in layers else "X"
    if layer in ("X", "raw/X") or layer.startswith("obsm/"):
        if layer not in file:
            raise InputError(
                f"The file has no matrix {layer}", where=file.path, fix=f"Name a layer: {', '.join(layers) or 'none'}."
            )
        return layer
    name = layer.removeprefix("layers/")
    if name not in layers:
        raise InputError(f"No layer {name!r}", where=file.path, fix=nearest(name, ["X", *layers]))
    return f"layers/{name}"
