"""An h5ad file opened for comparison: tables by the column, matrices by the row, nothing whole in memory."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

import anndata as ad
import h5py
import numpy as np
import pandas as pd
from anndata._io.specs.registry import IORegistryError
from scipy import sparse

from perturbench_lamin.comparison.result import FileFacts
from perturbench_lamin.contracts import COUNTS_LAYER
from perturbench_lamin.curation.source import CountSource, canonical
from perturbench_lamin.curation.source_h5ad import H5adSource
from perturbench_lamin.errors import InputError, IntegrityError
from perturbench_lamin.ingestion.check import check_h5ad

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

LOOK_ROWS = 200
"""Cells that are looked at to see whether a matrix holds whole numbers."""


def axes(place: str) -> tuple[str, str]:
    """What the rows and the columns of a matrix are, by its place in the file."""
    return AXES[place if place in AXES else place.rpartition("/")[0]]


class Table:
    """The obs or var of a file; columns are read when asked for.

    Attributes:
        names: the index, as text.
        columns: the column names, in the file's order.
    """

    def __init__(self, element: h5py.Group | h5py.Dataset, path: Path) -> None:
        self._whole: pd.DataFrame | None = None
        self._group, self._path = element, path
        if isinstance(element, h5py.Group) and element.attrs.get("encoding-version") == "0.2.0":
            index = _read(element[element.attrs["_index"]])
            self.columns = [str(name) for name in element.attrs["column-order"]]
        else:  # anndata before 0.8
            self._whole = _old_table(element, path)
            index, self.columns = self._whole.index, [str(name) for name in self._whole.columns]
        self.names = pd.Index(np.asarray(index), dtype=object).map(str)

    def __len__(self) -> int:
        return len(self.names)

    def column(self, name: str) -> pd.Series:
        """A column, as anndata reads it."""
        if self._whole is not None:
            return self._whole[name].reset_index(drop=True)
        return pd.Series(_read(self._group[name]))

    def others(self) -> list[str]:
        """The names of what stands in the table's group beside its index and columns."""
        if self._whole is not None:
            return []
        return sorted(set(self._group) - {*self.columns, self._group.attrs["_index"], "__categories"})

    def items(self) -> Iterator[tuple[str, pd.Series]]:
        """Name and values of each column, one in memory at a time."""
        for name in self.columns:
            yield name, self.column(name)


class StoredMatrix(H5adSource):
    """A matrix of an open file, at any place; an array of more than two axes with those after the first laid flat.

    Attributes:
        encoding: ``csr``, ``csc`` or ``dense``.
        dtype: of the stored values.
    """

    def __init__(self, file: h5py.File, path: Path, place: str, obs_names: pd.Index, var_names: pd.Index) -> None:
        self.path, self._file, self.matrix_path = path, file, place
        self.obs_names, self.var_names = obs_names, var_names
        self._transposed = None
        element = file[place]
        self.encoding = "dense" if isinstance(element, h5py.Dataset) else str(element.attrs.get("encoding-type", ""))
        self.encoding = self.encoding.removesuffix("_matrix")
        self.dtype = str((element if isinstance(element, h5py.Dataset) else element["data"]).dtype)
        self._read = self._reader()

    def _reader(self) -> Any:
        array = self._file[self.matrix_path]
        if isinstance(array, h5py.Dataset) and array.ndim > 2 and len(array) == len(self.obs_names):
            self.entries = array.size
            return lambda start, stop: canonical(sparse.csr_matrix(array[start:stop].reshape(stop - start, -1)))
        return super()._reader()

    def close(self) -> None:
        """Remove what was made to read it; the file stays open."""
        if self._transposed is not None:
            self._transposed.close()


class H5adFile:
    """An h5ad file.

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
        self.path = Path(path)
        if not self.path.is_file():
            raise InputError("No such file", where=path, fix="Check the path.")
        check_h5ad(self.path, parts=("obs", "var"))
        self.file = h5py.File(self.path, "r")
        self.obs, self.var = Table(self.file["obs"], self.path), Table(self.file["var"], self.path)
        self.layers, self.obsm = self.inside("layers"), self.inside("obsm")
        self._matrices: dict[str, StoredMatrix] = {}

    def __enter__(self) -> H5adFile:
        return self

    def __exit__(self, *_: object) -> None:
        for matrix in self._matrices.values():
            matrix.close()
        self.file.close()

    def matrix(self, place: str) -> StoredMatrix:
        """A matrix by its place in the file, such as ``layers/counts``; opened once."""
        if place not in self._matrices:
            self._matrices[place] = StoredMatrix(
                self.file, self.path, place, *(self._labels(axis, place) for axis in axes(place))
            )
        return self._matrices[place]

    def _labels(self, axis: str, place: str) -> pd.Index:
        if axis == NUMBERED:
            element = self.file[place]
            shape = element.shape if isinstance(element, h5py.Dataset) else element.attrs["shape"]
            return pd.Index([str(number) for number in range(int(np.prod(shape[1:])))])
        return self.table(axis).names

    def table(self, axis: str) -> Table:
        """The table of an axis: ``obs``, ``var`` or ``raw/var``."""
        return self.raw_var if axis == "raw/var" else {"obs": self.obs, "var": self.var}[axis]

    @cached_property
    def raw_var(self) -> Table:
        """The table of genes of raw."""
        return Table(self.file["raw/var"], self.path)

    def inside(self, group: str) -> list[str]:
        """The names of what a group holds, sorted; none where there is no such group."""
        found = self.file.get(group)
        return sorted(found) if isinstance(found, h5py.Group) else []

    def counts_place(self) -> str | None:
        """Where the counts are: ``layers["counts"]``, else the first of raw and X that holds whole numbers."""
        places = [place for place in COUNTS_PLACES if place in self.file]
        if places and places[0] == COUNTS_PLACES[0]:
            return places[0]
        return next((place for place in places if is_whole(self.matrix(place))), None)

    def uns(self) -> dict[str, Any]:
        """The unstructured part; an element that anndata cannot read is left as it stands in the file."""
        return _read_known(self.file["uns"]) if "uns" in self.file else {}

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


def _read(element: h5py.Group | h5py.Dataset) -> Any:
    """An element, as anndata reads it; that it was written by an older version is no matter here."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ad.OldFormatWarning)
        return ad.io.read_elem(element)


def _read_known(group: h5py.Group) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, element in group.items():
        if isinstance(element, h5py.Group) and element.attrs.get("encoding-type", "dict") == "dict":
            found[name] = _read_known(element)
            continue
        try:
            found[name] = _read(element)
        except IORegistryError:
            found[name] = element
    return found


def _old_table(element: h5py.Group | h5py.Dataset, path: Path) -> pd.DataFrame:
    """A table as anndata 0.7 wrote it, or, before, as one array of records with categories in uns."""
    if isinstance(element, h5py.Group):
        read = _read(element)
        if isinstance(read, pd.DataFrame):
            return read
    elif element.dtype.names:
        records = element[()]
        table = pd.DataFrame({name: _old_column(element, name, records[name]) for name in element.dtype.names})
        return table.set_index(table.columns[0])
    raise IntegrityError(f"{element.name} is not a table", where=path, fix="Write the file again with anndata.")


def _old_column(element: h5py.Dataset, name: str, values: np.ndarray) -> Any:
    categories = element.file.get(f"uns/{name}_categories")
    if categories is not None and values.dtype.kind in "iu":
        return pd.Categorical.from_codes(values.tolist(), pd.Index([_text(category) for category in categories[()]]))
    return [_text(value) for value in values] if values.dtype.kind in "SO" else values


def _text(value: Any) -> Any:
    return value.decode() if isinstance(value, bytes) else value
