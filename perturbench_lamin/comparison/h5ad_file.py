"""An h5ad file that is compared: its tables by column, its matrices by rows, at any place."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from perturbench_lamin.comparison.result import FileFacts
from perturbench_lamin.contracts import COUNTS_LAYER
from perturbench_lamin.curation.source import CountSource
from perturbench_lamin.curation.source_h5ad import H5adSource
from perturbench_lamin.storage.anndata_file import AnnDataFile
from perturbench_lamin.storage.tables import Table

COUNTS_PLACES = (f"layers/{COUNTS_LAYER}", "raw/X", "X")
NUMBERED = "numbered"
AXES = {
    "X": ("obs", "var"),
    "layers": ("obs", "var"),
    "raw/X": ("obs", "raw/var"),
    "obsm": ("obs", NUMBERED),
    "obsp": ("obs", "obs"),
    "varm": ("var", NUMBERED),
    "varp": ("var", "var"),
    "raw/varm": ("raw/var", NUMBERED),
}
"""What the rows and columns of a place are: the index of a table, or numbers."""

WHOLE = ("X", "raw/X")
"""Places that are matrices themselves; the others are groups of them."""

LOOK_ROWS = 200
"""Cells that are looked at to see whether a matrix holds whole numbers."""


def axes(place: str) -> tuple[str, str]:
    """What the rows and the columns of a matrix are, by its place in the file."""
    return AXES[place if place in AXES else place.rpartition("/")[0]]


class StoredMatrix(H5adSource):
    """A matrix of an open file, at any place; an array of more than two axes with those after the first laid flat.

    Attributes:
        encoding: ``csr``, ``csc`` or ``dense``.
        dtype: of the stored values.
    """

    def __init__(self, file: AnnDataFile, place: str, rows: pd.Index, columns: pd.Index | None) -> None:
        self.file, self.path, self._own = file, file.path, False
        self._hold(file.matrix(place, against_tables=False), rows, columns)
        self.matrix.require_shape(self.shape, " and ".join(axis for axis in axes(place) if axis != NUMBERED))
        self.encoding, self.dtype = self.matrix.format, str(self.matrix.stored_dtype.newbyteorder("="))


class H5adFile:
    """An h5ad file, or a zarr folder.

    Args:
        path: the file.

    Attributes:
        obs: the table of cells.
        var: the table of genes.
        layers: names of the layers.
        obsm: names of the arrays with a row a cell.

    Raises:
        InputError: no such file.
        IntegrityError: not readable as HDF5, or without obs or var.
    """

    def __init__(self, path: str | Path) -> None:
        self.file = AnnDataFile(path)
        self.path = self.file.path
        self._matrices: dict[str, StoredMatrix] = {}
        try:
            self.file.require("obs", "var")
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
            rows, columns = axes(place)
            labels = None if columns == NUMBERED else self.table(columns).names
            self._matrices[place] = StoredMatrix(self.file, place, self.table(rows).names, labels)
        return self._matrices[place]

    def table(self, axis: str) -> Table:
        """The table of an axis: ``obs``, ``var`` or ``raw/var``."""
        return self.raw_var if axis == "raw/var" else {"obs": self.obs, "var": self.var}[axis]

    @cached_property
    def raw_var(self) -> Table:
        """The table of genes of raw."""
        return self.file.table("raw/var")

    def read_through(self) -> None:
        """Read everything once, a part at a time.

        Raises:
            IntegrityError: something is damaged, or contradicts itself.
        """
        self.file.uns(keep_unknown=True)
        for axis in ("obs", "var", *(["raw/var"] if "raw/var" in self.file else [])):
            for _ in self.table(axis).items():
                pass
        for group in AXES:
            inside = [group] if group in WHOLE else [f"{group}/{name}" for name in self.file.names(group)]
            for place in inside:
                self._read_through(place)

    def _read_through(self, place: str) -> None:
        if place not in self.file:
            return
        if place not in WHOLE and not place.startswith("layers/") and not self.file.is_matrix(place):
            self.file.element(place)
            return
        for _ in self.matrix(place).row_chunks():
            pass

    def counts_place(self) -> str | None:
        """Where the counts are: ``layers["counts"]``, else the first of raw and X that holds whole numbers."""
        places = [place for place in COUNTS_PLACES if place in self.file]
        if places and places[0] == COUNTS_PLACES[0]:
            return places[0]
        return next((place for place in places if is_whole(self.matrix(place))), None)

    def uns(self) -> dict[str, Any]:
        """The unstructured part; an element that anndata cannot read is left as it stands in the file."""
        return self.file.uns(keep_unknown=True)

    def facts(self) -> FileFacts:
        """What the file is."""
        places = [place for place in ("X", *(f"layers/{name}" for name in self.layers), "raw/X") if place in self.file]
        matrices = {place: self.matrix(place) for place in places}
        told = {place: f"{matrix.encoding} {matrix.dtype}" for place, matrix in matrices.items()}
        return FileFacts(str(self.path), len(self.obs), len(self.var), told)


def is_whole(matrix: CountSource) -> bool:
    """Whether the first rows of a matrix hold whole numbers of 0 or more, and some above 0."""
    values = matrix.read_rows(0, min(LOOK_ROWS, matrix.shape[0])).data
    return bool(len(values) and (values >= 0).all() and (values == np.floor(values)).all())
