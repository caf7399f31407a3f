"""R's tables, Bioconductor's ``DFrame`` and base R's ``data.frame``, as pandas tables."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd

from perturbench_lamin.errors import InputError, IntegrityError
from perturbench_lamin.ingestion.r_objects import NA_INTEGER, RObject

TABLE_CLASSES = ("DFrame", "DataFrame", "data.frame")


def to_table(obj: RObject | None, *, where: object = None) -> pd.DataFrame:
    """Make a pandas table of an R table.

    Factors become categories (in R's order of levels), missing values pandas' own. The index is R's row names,
    or 0, 1, … where it has none. Columns that are no vectors (tables and matrices within a table) have no
    place in a table of cells; their names stand in ``attrs["left_out"]``.

    Raises:
        InputError: the object is no table.
        IntegrityError: a column has another length than the table.
    """
    if obj is None or obj.r_class not in TABLE_CLASSES:
        raise InputError(f"Expected a table, not {obj.r_class if obj else 'NULL'}", where=where)
    rows = _row_names(obj)
    columns: dict[str, Any] = {}
    left_out: list[str] = []
    for name, column in _columns(obj):
        convert = CONVERSIONS.get(getattr(column, "kind", ""))
        if convert is None or column.slot("dim") is not None:
            left_out.append(name)
            continue
        if name in columns:
            raise IntegrityError(f"Two columns are named {name!r}", where=where)
        is_factor = column.slot("levels") is not None
        columns[name] = _factor(column, f"{where}, column {name!r}") if is_factor else convert(column.value)
        if len(columns[name]) != len(rows):
            raise IntegrityError(
                f"Column {name!r} has {len(columns[name]):,} values for {len(rows):,} rows", where=where
            )
    table = pd.DataFrame(columns, index=rows)
    table.attrs["left_out"] = left_out
    return table


def named_rows(table: pd.DataFrame, names: Sequence[str], n: int, where: str) -> pd.DataFrame:
    """Check a table against its side of a matrix, and name its rows if only the matrix does.

    Args:
        table: a row per cell, or per gene.
        names: the matrix's names of them; empty where it has none.
        n: how many the matrix has.
        where: what errors name.

    Raises:
        IntegrityError: the table has another number of rows, or other names.
    """
    if len(table) != n:
        raise IntegrityError(f"{len(table):,} rows for {n:,} in the counts", where=where)
    if not names:
        return table.set_axis(table.index.astype(str))
    if isinstance(table.index, pd.RangeIndex):
        return table.set_axis(pd.Index(names, dtype=object))
    if list(table.index) != list(names):
        first = next(i for i, (a, b) in enumerate(zip(table.index, names, strict=True)) if a != b)
        raise IntegrityError(
            f"Row names differ from those of the counts, first {table.index[first]!r} and {names[first]!r}",
            where=where,
        )
    return table


def _columns(obj: RObject) -> list[tuple[str, Any]]:
    holder = obj.slot("listData") if obj.kind == "S4" else obj
    return list(zip(holder.names, holder.value, strict=True)) if holder is not None and holder.value else []


def _row_names(obj: RObject) -> pd.Index:
    names = obj.slot("rownames") if obj.kind == "S4" else obj.slot("row.names")
    if names is not None and names.kind == "character":
        return pd.Index(names.value, dtype=object)
    if obj.kind == "S4":
        return pd.RangeIndex(int(obj.slot("nrows").value[0]))
    values = np.asarray(names.value) if names is not None else np.zeros(0)
    is_compact = len(values) == 2 and values[0] == NA_INTEGER  # R's short form of 1, …, n
    return pd.RangeIndex(abs(int(values[1])) if is_compact else len(values))


def _factor(column: RObject, where: str) -> pd.Categorical:
    """Categories of a factor, whose codes count its levels from 1.

    Raises:
        IntegrityError: codes are no whole numbers or beyond the levels, or a level is missing or there twice.
    """
    codes: Any = np.asarray(column.value)
    levels: Any = list(column.slot("levels").value)
    if codes.dtype != np.int32 or any(not isinstance(level, str) for level in levels) or len({*levels}) < len(levels):
        raise IntegrityError("No factor: its codes or levels are of another kind, or a level occurs twice", where=where)
    codes = np.where(codes == NA_INTEGER, 0, codes)
    # A missing value is no level of R's; 0 is none either.
    outside = np.flatnonzero((codes < 0) | (codes > len(levels)) | ((codes == 0) & (column.value != NA_INTEGER)))
    if len(outside):
        raise IntegrityError(
            f"A factor of {len(levels):,} levels has the code {codes[outside[0]]}",
            where=f"{where}, row {outside[0] + 1}",
            fix="The file is corrupt: fetch it again.",
        )
    codes = codes - 1
    return pd.Categorical.from_codes(codes, categories=levels, ordered=column.r_class == "ordered")


def _integers(values: np.ndarray) -> Any:
    missing = values == NA_INTEGER
    return pd.arrays.IntegerArray(values, missing) if missing.any() else values


def _logicals(values: np.ndarray) -> Any:
    missing = values == NA_INTEGER
    truth = values == 1
    return pd.arrays.BooleanArray(truth, missing) if missing.any() else truth


CONVERSIONS: dict[str, Callable[[Any], Any]] = {
    "integer": _integers,
    "logical": _logicals,
    "double": np.asarray,
    "character": lambda values: np.array(values, dtype=object),
}
