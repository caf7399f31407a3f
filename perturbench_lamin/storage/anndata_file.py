"""The one door through which files of cells are read: every verb opens truth, prediction, raw and curated files here.

A file is walked once when it is opened: nothing that it names may lie outside it, nothing may declare more than the
file can hold. Tables and matrices are checked as they are read. What anndata can read is read (0.6 and 0.7 too, any
byte order, float16, 64-bit numbers, zarr); all else is one error with file, place and reason.
"""

from __future__ import annotations

import os
from functools import cached_property
from pathlib import Path
from typing import Any

import h5py
import pandas as pd

from perturbench_lamin.errors import InputError, IntegrityError, nearest
from perturbench_lamin.storage.contained import require_contained, require_contained_folder, require_room_in_folder
from perturbench_lamin.storage.matrix import SPARSE, StoredMatrix
from perturbench_lamin.storage.reading import AGAIN, read_element, read_known, reading, told
from perturbench_lamin.storage.tables import Table, category_place

SIGNATURE = b"\x89HDF\r\n\x1a\n"
OLD_NAMES = {"raw/X": "raw.X", "raw/var": "raw.var"}
"""Where anndata 0.6 kept what later versions keep in the group raw."""

ZARR_MARKS = (".zgroup", "zarr.json", ".zmetadata")


def is_zarr(path: str | Path) -> bool:
    """Whether a path is a folder that zarr can open."""
    return any((Path(path) / mark).is_file() for mark in ZARR_MARKS)


class AnnDataFile:
    """An h5ad file, or a zarr folder, open for reading.

    Args:
        path: the file.

    Raises:
        InputError: no such file, or something in it lies outside it.
        IntegrityError: it is not HDF5, is truncated or corrupt, or declares more than it can hold.
    """

    def __init__(self, path: str | Path) -> None:
        if not isinstance(path, str | os.PathLike):
            raise InputError(
                f"Not a path but {type(path).__name__}",
                where="file of cells",
                fix="Give the path of an h5ad file or zarr folder; what is in memory is written by write_h5ad.",
            )
        self.path = Path(path)
        self._stored: int | None = None
        if is_zarr(self.path):
            self._stored = require_contained_folder(self.path)
            self.root: Any = _open_zarr(self.path)
            return
        self.root = _open_hdf5(self.path)
        try:
            require_contained(self.root, self.path)
        except BaseException:
            self.root.close()
            raise

    def __enter__(self) -> AnnDataFile:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        if isinstance(self.root, h5py.File):
            self.root.close()

    def __contains__(self, place: str) -> bool:
        """Whether there is such a part. anndata writes what is not there, too: as the element ``null``."""
        return self._name(place) is not None and self.kind(place) != "null"

    def require(self, *places: str) -> None:
        """Check that some parts are there.

        Raises:
            IntegrityError: some are not.
        """
        missing = [place for place in places if place not in self]
        if missing:
            with reading(self.path):
                present = ", ".join(sorted(map(str, self.root))) or "nothing"
            raise IntegrityError(
                f"An h5ad file without {', '.join(missing)}",
                where=self.path,
                fix=f"It has {present}. Write it with AnnData.write_h5ad.",
            )

    def names(self, place: str) -> list[str]:
        """The sorted names in a group, such as ``layers``, or of the file; none where there is no such group.

        Raises:
            IntegrityError: it is no group.
        """
        name = self._name(place) if place else ""
        if name is None:
            return []
        with reading(self.path, place):
            found = self.root[name] if name else self.root  # consolidated zarr knows no name of its root
            if hasattr(found, "dtype") and not self._is_record(name):
                raise IntegrityError(f"{place} is not a group", where=self.path, fix=AGAIN)
            return sorted(map(str, found.dtype.names if self._is_record(name) else found))

    def stored(self, place: str) -> Any:
        """A part as it is stored: a group or an array of HDF5 or zarr, for those who compare it without reading it."""
        return self._element(place)

    def element(self, place: str) -> Any:
        """Any part, as anndata reads it: a mapping, a table, an array."""
        return read_element(self._element(place), self.path, place)

    def kind(self, place: str) -> str:
        """The encoding that a part says it has; ``array`` where it says none."""
        with reading(self.path, place):
            value = getattr(self._element(place), "attrs", {}).get("encoding-type", "array")
            return value.decode() if isinstance(value, bytes) else str(value)

    def is_matrix(self, place: str) -> bool:
        """Whether a part is stored as a sparse matrix or as an array of two dimensions."""
        with reading(self.path, place):
            element = self._element(place)
            if hasattr(element, "dtype"):
                return len(element.shape) == 2
            return self.kind(place) in SPARSE or "h5sparse_format" in element.attrs

    def table(self, place: str) -> Table:
        """A table, such as ``obs``, read by the column."""
        self.require(place)
        return Table(self._element(place), self.path, place)

    @cached_property
    def obs_table(self) -> Table:
        """The table of cells, by the column."""
        return self.table("obs")

    @cached_property
    def var_table(self) -> Table:
        """The table of genes, by the column."""
        return self.table("var")

    @property
    def obs(self) -> pd.DataFrame:
        """The table of cells."""
        return self.obs_table.frame()

    @property
    def var(self) -> pd.DataFrame:
        """The table of genes."""
        return self.var_table.frame()

    def columns_of(self, place: str) -> pd.Index | None:
        """The names of a matrix's columns: those of var, of raw/var, or none (obsm)."""
        if place.startswith("raw"):
            return self.table("raw/var").names
        return None if place.startswith("obsm/") else self.var_table.names

    def matrix(self, place: str = "X", *, against_tables: bool = True) -> StoredMatrix:
        """A matrix at any place: ``X``, a layer, ``raw/X``, an array of obsm.

        Args:
            place: where.
            against_tables: whether to check its shape against the names of cells and genes, which reads these.

        Raises:
            InputError: there is none, or it is stored in a way that is not read.
            IntegrityError: it contradicts itself, or the tables.
        """
        self.require(place)
        numbered = place.removeprefix("raw/").startswith(("obsm/", "varm/"))
        matrix = StoredMatrix(self._element(place), self.path, place, flat=numbered)
        if against_tables:
            columns = self.columns_of(place)
            wide = matrix.shape[1] if columns is None else len(columns)
            tables = "obs and raw/var" if place.startswith("raw") else "obs" if columns is None else "obs and var"
            matrix.require_shape((len(self.obs_table), wide), tables)
        return matrix

    def uns(self, *, keep_unknown: bool = False) -> dict[str, Any]:
        """The unstructured part, without the categories of obs and var that anndata 0.6 kept there.

        Args:
            keep_unknown: leave an element whose encoding anndata does not know as it is stored; else it is an error.
        """
        if "uns" not in self:
            return {}
        group = self._element("uns")
        known = keep_unknown and not hasattr(group, "dtype")
        read = read_known(group, self.path, "uns") if known else self.element("uns")
        if not isinstance(read, dict):
            raise IntegrityError("uns is not a group", where=self.path, fix="Write the file again with anndata.")
        hidden = self.old_category_places()
        return {name: value for name, value in read.items() if f"uns/{name}" not in hidden}

    def old_category_places(self) -> frozenset[str]:
        """Where in uns anndata 0.6 kept the categories of obs and var; none in files of later versions."""
        tables = [self._element(name) for name in ("obs", "var") if name in self]
        fields = [name for table in tables for name in getattr(getattr(table, "dtype", None), "names", ()) or ()]
        return frozenset(map(category_place, fields))

    def _element(self, place: str) -> Any:
        name = self._name(place)
        parent, _, own = place.rpartition("/")
        if name is None:
            known = self.names(parent) if parent else sorted(map(str, self.root))
            raise InputError(f"No {place}", where=self.path, fix=nearest(own, known))
        with reading(self.path, place):
            found = self.root[parent][own] if self._is_record(parent) else self.root[name]
            if self._stored is not None and hasattr(found, "dtype"):
                require_room_in_folder(found, self.path, place, self._stored)
        return found

    def _name(self, place: str) -> str | None:
        with reading(self.path, place):
            parent, _, own = place.rpartition("/")
            if self._is_record(parent):
                return place if own in self.root[parent].dtype.names else None
            return next((name for name in (place, OLD_NAMES.get(place)) if name and name in self.root), None)

    def _is_record(self, name: str) -> bool:
        """Whether it is one array of records, as anndata 0.6 kept obs, var and obsm."""
        return bool(name) and name in self.root and bool(getattr(getattr(self.root[name], "dtype", None), "names", ()))


def _open_hdf5(path: Path) -> h5py.File:
    if path.is_dir():
        raise InputError("A folder that is not a zarr store", where=path, fix="Give an h5ad file, or a zarr folder.")
    if not path.is_file():
        raise InputError("No such file", where=path, fix="Check the path.")
    with reading(path), path.open("rb") as stream:
        start = stream.read(len(SIGNATURE))
    try:
        return h5py.File(path, "r")
    except Exception as error:  # HDF5 compares the length it stored with the file's
        if start != SIGNATURE:
            raise IntegrityError(
                f"Not an HDF5 file: it begins with {start!r}",
                where=path,
                fix="A server's error page may have been saved in its place: remove it and fetch it again.",
            ) from error
        raise IntegrityError(
            f"Truncated or corrupt HDF5 file: {told(error)}", where=path, fix="Remove it and fetch it again."
        ) from error


def _open_zarr(path: Path) -> Any:
    import zarr

    with reading(path):
        return zarr.open_group(path, mode="r")
