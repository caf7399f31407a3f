"""The gate of tables of metrics: a model, a metric and a number in every row, whatever file they come in."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

from perturbench_lamin.errors import InputError, IntegrityError, nearest
from perturbench_lamin.evaluation.leaderboard import NEEDED, RUN
from perturbench_lamin.evaluation.registry import get_metric
from perturbench_lamin.storage.csv_file import CsvFile, read_csv, require_columns

UNDEFINED = ("", "nan", "NaN", "NA")
"""How files spell an undefined value; ours leave the field empty."""

WHOLE = r"^(-?\d+)\.0+$"
DECIMAL_COMMA = re.compile(r"[+-]?\d+,\d+", re.ASCII)


def read_metrics(path: str | Path) -> pd.DataFrame:
    """Read a table of metrics.

    Args:
        path: ``.parquet``, or text as :func:`~perturbench_lamin.storage.csv_file.read_csv` reads it.

    Returns:
        The table: ``value`` float64, NaN where it is undefined; every other column text, NaN where it is empty. A seed
        that is written ``1.0``, as pandas does beside an empty one, is ``1``.

    Raises:
        InputError: a column is missing, there are no rows, a row has no model, a metric is unknown, or a value is not
            a number; the message names the line.
        IntegrityError: the file is damaged.
    """
    path = Path(path)
    return _of_parquet(path) if path.suffix == ".parquet" else _of_text(read_csv(path))


def _of_text(file: CsvFile) -> pd.DataFrame:
    require_columns(file, NEEDED)
    value = _numbers(file)
    names = file.table.drop(columns="value")
    return _checked(names.assign(value=value)[list(file.table.columns)], file.path, file.place)


def _numbers(file: CsvFile) -> np.ndarray:
    texts = file.table["value"].where(~file.table["value"].isin(UNDEFINED), "nan").to_numpy(dtype=object)
    try:
        if not any("_" in text for text in texts):  # Python reads 1_000, other readers do not
            return texts.astype(np.float64)
    except ValueError:
        pass
    row, text = next((row, text) for row, text in enumerate(texts) if not _is_number(text))
    raise InputError(
        f"The value {text!r} is not a number",
        where=file.place(row),
        fix="Write decimals with a point."
        if DECIMAL_COMMA.fullmatch(text)
        else "Give a number, or nothing where it is undefined.",
    )


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return "_" not in text


def _of_parquet(path: Path) -> pd.DataFrame:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(path, page_checksum_verification=True).to_pandas()
    except (OSError, ValueError, TypeError, LookupError, MemoryError, NotImplementedError, pa.ArrowException) as error:
        raise IntegrityError(
            f"Not readable as parquet, or damaged: {_first_line(error)}", where=path, fix="Fetch or make it again."
        ) from error
    for name in NEEDED:
        if name not in table.columns:
            raise InputError(f"No column {name!r}", where=path, fix=nearest(name, table.columns))
    kind = table["value"].dtype
    if not pd.api.types.is_numeric_dtype(kind) or kind.kind not in "iuf":
        raise InputError(f"The values are of type {kind}", where=path, fix="Give floating-point numbers.")
    value = table["value"].to_numpy(dtype=np.float64, na_value=np.nan)
    names = table.drop(columns="value").apply(lambda column: column.map(_as_text, na_action="ignore").astype(object))
    text = names.fillna("").assign(value=value)[list(table.columns)]
    return _checked(text, path, lambda row: f"{path}, row {row + 1}")


def _checked(table: pd.DataFrame, path: Path, place: Callable[[int], str]) -> pd.DataFrame:
    if table.empty:
        raise InputError("The table has no rows", where=path, fix="Make one with `perturbench-lamin evaluate`.")
    nameless = np.flatnonzero(table["model"] == "")
    if len(nameless):
        raise InputError("A row names no model", where=place(int(nameless[0])), fix="Fill the column 'model'.")
    for metric in table["metric"].unique():
        try:
            get_metric(metric)
        except InputError as error:
            first = int(np.flatnonzero(table["metric"] == metric)[0])
            raise InputError(error.what, where=place(first), fix=error.fix) from error
    if RUN in table:
        table = table.assign(**{RUN: table[RUN].str.replace(WHOLE, r"\1", regex=True)})
    names = [name for name in table.columns if name != "value"]
    return table.assign(**{name: table[name].where(table[name] != "", np.nan) for name in names})


def _as_text(value: object) -> str:
    whole = isinstance(value, float) and value.is_integer()
    return str(int(value)) if whole else str(value)  # type: ignore[call-overload]


def _first_line(error: BaseException) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)
