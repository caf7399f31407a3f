"""The tables of cells and of genes in a file, read by the column, whichever version of anndata wrote them."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from perturbench_lamin.errors import InputError, IntegrityError, some
from perturbench_lamin.storage.reading import AGAIN, read_element, reading


class Table:
    """The obs or var of a file; columns are read when asked for.

    Args:
        element: of the file.
        path: the file, for messages.
        place: what it is in the file, such as ``obs``.

    Attributes:
        columns: the column names, in the file's order.

    Raises:
        IntegrityError: it is not a table, names columns that it has not, or one twice.
    """

    def __init__(self, element: Any, path: Path, place: str) -> None:
        self._element, self._path, self._place = element, path, place
        self._whole: pd.DataFrame | None = None
        with reading(path, place):
            if _is_current(element):
                order = element.attrs["column-order"]
                self.columns = [str(_text(name)) for name in np.asarray(order, dtype=object).ravel()]
            else:  # anndata before 0.8
                self._whole = _old_table(element, path, place)
                self.columns = [str(name) for name in self._whole.columns]
        self._require_columns()

    def __len__(self) -> int:
        return len(self.index)

    @cached_property
    def index(self) -> pd.Index:
        """The names as text, under the index's own name."""
        if self._whole is not None:
            return _names(self._whole.index, self._whole.index.name, self._path, self._place)
        with reading(self._path, self._place):
            key = str(_text(self._element.attrs["_index"]))
            element = self._element[key]
        values = read_element(element, self._path, f"{self._place}/{key}")
        return _names(values, None if key == "_index" else key, self._path, f"{self._place}/{key}")

    @property
    def names(self) -> pd.Index:
        """The names as text."""
        return self.index.rename(None)

    def column(self, name: str) -> pd.Series:
        """A column, as anndata reads it, under a plain index.

        Raises:
            IntegrityError: it is not one value a row.
        """
        if self._whole is not None:
            return self._whole[name].reset_index(drop=True)
        place = f"{self._place}/{name}"
        with reading(self._path, place):
            element = self._element[name]
        values = read_element(element, self._path, place)
        if np.ndim(values) != 1 or len(values) != len(self):
            found = f"{len(values):,} values" if np.ndim(values) == 1 else "no column of values"
            raise IntegrityError(
                f"{place} has {found}, {self._place} has {len(self):,} names", where=self._path, fix=AGAIN
            )
        with reading(self._path, place):
            return pd.Series(native(values) if isinstance(values, np.ndarray) else values)

    def others(self) -> list[str]:
        """The names of what stands in the table's group beside its index and columns."""
        if self._whole is not None:
            return []
        with reading(self._path, self._place):
            own = {*self.columns, str(_text(self._element.attrs["_index"])), "__categories"}
            return sorted(set(map(str, self._element)) - own)

    def items(self) -> Iterator[tuple[str, pd.Series]]:
        """Name and values of each column, one in memory at a time."""
        for name in self.columns:
            yield name, self.column(name)

    def frame(self) -> pd.DataFrame:
        """The whole table, indexed by name."""
        if self._whole is not None:
            return self._whole.set_axis(self.index, axis=0)
        read = {name: values.array for name, values in self.items()}
        frame = pd.DataFrame(read, index=self.index, columns=self.columns if not read else None)
        frame.columns = pd.Index(self.columns, dtype=object)
        return frame

    def _require_columns(self) -> None:
        columns = pd.Index(self.columns, dtype=object)
        if not columns.is_unique:
            twice = some(map(repr, columns[columns.duplicated()].unique()), 3)
            raise IntegrityError(f"{self._place} names a column twice: {twice}", where=self._path, fix=AGAIN)
        with reading(self._path, self._place):
            absent = [] if self._whole is not None else [name for name in self.columns if name not in self._element]
        if absent:
            raise IntegrityError(
                f"{self._place} names columns that it has not: {some(map(repr, absent), 3)}",
                where=self._path,
                fix=AGAIN,
            )


def _is_current(element: Any) -> bool:
    """Whether it is a group written by anndata 0.8 or later."""
    if hasattr(element, "dtype"):
        return False
    return _text(element.attrs.get("encoding-version")) == "0.2.0" and _is_dataframe(element)


def _is_dataframe(element: Any) -> bool:
    return _text(element.attrs.get("encoding-type")) == "dataframe"


def _names(values: Any, name: Any, path: Path, place: str) -> pd.Index:
    if np.ndim(values) != 1:
        raise IntegrityError(f"{place} is not a list of names", where=path, fix=AGAIN)
    with reading(path, place):
        index = pd.Index(np.asarray(values), dtype=object)
        lacking = int(np.sum(index.isna()))
        if index.inferred_type not in ("string", "empty"):
            index = index.map(lambda one: str(_text(one)))
    if lacking:
        raise InputError(f"{lacking:,} names are missing", where=f"{path}, {place}", fix="Give each row a name.")
    return pd.Index(index, dtype=object, name=name)


def _old_table(element: Any, path: Path, place: str) -> pd.DataFrame:
    """A table as anndata 0.7 wrote it, or, before, as one array of records with categories in uns."""
    if hasattr(element, "dtype"):
        if element.dtype.names and len(element.shape) == 1:
            return _records(element)
    elif _is_dataframe(element):
        read = read_element(element, path, place)
        if isinstance(read, pd.DataFrame):
            return read
    raise IntegrityError(
        f"{place} is not a table", where=path, fix="Write the file again: anndata.read_h5ad(path).write_h5ad(new)."
    )


def _records(element: Any) -> pd.DataFrame:
    records = element[()]
    index, *columns = element.dtype.names
    table = pd.DataFrame({name: _old_column(element, name, records[name]) for name in columns})
    table.index = pd.Index([_text(name) for name in records[index].tolist()], dtype=object, name=index)
    return table


def _old_column(element: Any, name: str, values: np.ndarray) -> Any:
    categories = element.file.get(category_place(name))
    if categories is not None and values.dtype.kind in "iu":
        known = pd.Index([_text(category) for category in np.asarray(categories[()]).tolist()])
        return pd.Categorical.from_codes(values.tolist(), known)
    return [_text(value) for value in values.tolist()] if values.dtype.kind in "SO" else native(values)


def category_place(column: str) -> str:
    """Where anndata 0.6 kept the categories of a column."""
    return f"uns/{column}_categories"


def native(values: np.ndarray) -> np.ndarray:
    """The values in the machine's byte order."""
    return values.astype(values.dtype.newbyteorder("="), copy=False)


def _text(value: Any) -> Any:
    return value.decode() if isinstance(value, bytes) else value
