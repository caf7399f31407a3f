"""An h5ad file opened for comparison: tables by the column, matrices by the row, nothing whole in memory."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from perturbench_lamin.comparison.result import FileFacts
from perturbench_lamin.contracts import COUNTS_LAYER
from perturbench_lamin.curation.source import CountSource
from perturbench_lamin.curation.source_h5ad import H5adSource
from perturbench_lamin.storage.anndata_file import AnnDataFile

COUNTS_PLACES = (f"layers/{COUNTS_LAYER}", "raw/X", "X")
LOOK_ROWS = 200
"""Cells that are looked at to see whether a matrix holds whole numbers."""


class StoredMatrix(H5adSource):
    """A matrix of an open file, at any place: X, a layer, raw/X or an array of obsm.

    Attributes:
        encoding: ``csr``, ``csc`` or ``dense``.
        dtype: of the stored values.
    """

    def __init__(self, file: AnnDataFile, place: str) -> None:
        super().__init__(file, layer=place)
        self.encoding, self.dtype = self.matrix.format, str(self.matrix.stored_dtype.newbyteorder("="))


class H5adFile:
    """An h5ad file.

    Args:
        path: the file.

    Attributes:
        file: the open file.
        obs: the table of cells.
        var: the table of genes.
        layers: names of the layers.
        obsm: names of the arrays with a row a cell.

    Raises:
        InputError: no such file.
        IntegrityError: not readable as HDF5, or without X, obs or var.
    """

    def __init__(self, path: str | Path) -> None:
        self.file = AnnDataFile(path)
        self.path = self.file.path
        self._matrices: dict[str, StoredMatrix] = {}
        try:
            self.file.require("X", "obs", "var")
            self.obs, self.var = self.file.obs_table, self.file.var_table
            self.layers, self.obsm = self.file.names("layers"), self.file.names("obsm")
        except BaseException:
            self.file.close()
            raise

    def __enter__(self) -> H5adFile:
        return self

    def __exit__(self, *_: object) -> None:
        for matrix in self._matrices.values():
            matrix.close()
        self.file.close()

    def matrix(self, place: str) -> StoredMatrix:
        """A matrix by its place in the file, such as ``layers/counts``; opened once."""
        if place not in self._matrices:
            self._matrices[place] = StoredMatrix(self.file, place)
        return self._matrices[place]

    def counts_place(self) -> str | None:
        """Where the counts are: ``layers["counts"]``, else the first of raw and X that holds whole numbers."""
        places = [place for place in COUNTS_PLACES if place in self.file]
        if places and places[0] == COUNTS_PLACES[0]:
            return places[0]
        return next((place for place in places if _is_whole(self.matrix(place))), None)

    def uns(self) -> dict[str, Any]:
        """The unstructured part."""
        return self.file.uns()

    def facts(self) -> FileFacts:
        """What the file is."""
        places = ["X", *(f"layers/{name}" for name in self.layers), *(["raw/X"] if "raw/X" in self.file else [])]
        matrices = {place: self.matrix(place) for place in places}
        told = {place: f"{matrix.encoding} {matrix.dtype}" for place, matrix in matrices.items()}
        return FileFacts(str(self.path), len(self.obs), len(self.var), told)


def _is_whole(matrix: CountSource) -> bool:
    values = matrix.read_rows(0, min(LOOK_ROWS, matrix.shape[0])).data
    return bool(len(values) and (values >= 0).all() and (values == np.floor(values)).all())
