"""The gate of tables of metrics and of leaderboards: names are text, numbers exact, whatever file they come in."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import pandas as pd

from perturbench_lamin.conditions import bare, is_bare
from perturbench_lamin.errors import InputError, IntegrityError, nearest
from perturbench_lamin.evaluation.leaderboard import NEEDED, RUN
from perturbench_lamin.evaluation.registry import get_metric
from perturbench_lamin.storage.csv_file import CsvFile, read_csv, require_columns

UNDEFINED = frozenset({"nan", "NaN", "NA"})
"""How files spell an undefined value; ours leave the field empty."""

COUNTS = ("n_seeds", "n_values", "n_nan")
MEASURED = ("mean", "sd", *COUNTS, "micro_mean", "macro_mean", "place")
"""The columns of a leaderboard that hold numbers."""

WHOLE = re.compile(r"^(-?\d+)\.0+$")
DECIMAL_COMMA = re.compile(r"[+-]?\d+,\d+", re.ASCII)


def read_metrics(path: str | Path) -> pd.DataFrame:
    """Read a table of metrics.

    Args:
        path: ``.parquet``, or text as :func:`~perturbench_lamin.storage.csv_file.read_csv` reads it.

    Returns:
        The table: ``value`` float64, NaN where it is undefined; every other column text, NaN where it is empty. A seed
        that is written ``1.0``, as pandas does beside an empty one, is ``1``.

    Raises:
        InputError: a column is missing, there are no rows, a row has no model, a name has spaces at its ends or
            invisible characters, a metric is unknown, or a value is not a number; the message names the line.
        IntegrityError: the file is damaged.
    """
    path = Path(path)
    return _of_parquet(path) if path.suffix == ".parquet" else _of_text(_read(path, ("value",)))


def read_board(path: str | Path) -> pd.DataFrame:
    """Read a leaderboard that was written as CSV.

    Returns:
        As :func:`~perturbench_lamin.evaluation.leaderboard.leaderboard` gives it: what is not in :data:`MEASURED` is
        text, NaN where it is empty.

    Raises:
        InputError: a column is missing, or a mean or count is not a number; the message names the line.
        IntegrityError: the file is damaged.
    """
    file = _read(path, MEASURED)
    require_columns(file, ("metric", "model", *MEASURED[:3], "place"))
    numbers = {name: _numbers(file, name) for name in MEASURED if name in file.table}
    table = file.table.assign(**numbers)
    for name in (*COUNTS, "place"):
        if name in table:
            _require_whole(table[name], file, name)
            table[name] = table[name].astype("Int64" if name == "place" or table[name].isna().any() else "int64")
    return table


def _read(path: str | Path, numbers: Iterable[str]) -> CsvFile:
    return read_csv(path, empty_is_missing=True, numbers=dict.fromkeys(numbers, UNDEFINED))


def _require_whole(column: pd.Series, file: CsvFile, name: str) -> None:
    faulty = column.notna() & (column % 1 != 0)
    if faulty.any():
        raise InputError(f"{name!r} is not a whole number", where=file.first(faulty), fix="Make the board again.")


def _of_text(file: CsvFile) -> pd.DataFrame:
    require_columns(file, NEEDED)
    value = _numbers(file, "value")
    return _checked(file.table.assign(value=value), file.path, file.place)


def _numbers(file: CsvFile, name: str) -> np.ndarray:
    if file.table[name].dtype.kind == "f":
        return file.table[name].to_numpy(dtype=np.float64)
    texts = file.table[name].to_list()
    try:
        values = np.array([np.nan if text in UNDEFINED else float(text) for text in texts])
        if "_" not in "".join(text for text in texts if isinstance(text, str)):  # Python reads 1_000, others do not
            return values
    except ValueError:
        pass
    row, text = next((row, text) for row, text in enumerate(texts) if not _is_number(text))
    comma = DECIMAL_COMMA.fullmatch(text)
    raise InputError(
        f"The {name} {text!r} is not a number",
        where=file.place(row),
        fix="Write decimals with a point." if comma else "Give a number, or nothing where it is undefined.",
    )


def _is_number(text: str | float) -> bool:
    try:
        float(text)
    except ValueError:
        return text in UNDEFINED
    return "_" not in str(text)


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
    text = names.replace("", np.nan).assign(value=value)[list(table.columns)]
    return _checked(text, path, lambda row: f"{path}, row {row + 1}")


def _checked(table: pd.DataFrame, path: Path, place: Callable[[int], str]) -> pd.DataFrame:
    if table.empty:
        raise InputError("The table has no rows", where=path, fix="Make one with `perturbench-lamin evaluate`.")
    if "" in table:
        raise InputError(
            "A column has no name",
            where=path,
            fix="Remove it; pandas leaves row numbers out by index=False.",
        )
    nameless = np.flatnonzero(table["model"].isna())
    if len(nameless):
        raise InputError("A row names no model", where=place(int(nameless[0])), fix="Fill the column 'model'.")
    _require_bare(table.drop(columns="value"), place)
    for metric in table["metric"].unique():
        try:
            get_metric("" if pd.isna(metric) else metric)
        except InputError as error:
            faulty = table["metric"].isna() if pd.isna(metric) else table["metric"] == metric
            first = int(np.flatnonzero(faulty)[0])
            raise InputError(error.what, where=place(first), fix=error.fix) from error
    if RUN in table:
        plain = {seed: WHOLE.sub(r"\1", seed) for seed in table[RUN].dropna().unique()}
        table = table.assign(**{RUN: table[RUN].map(plain)})
    return table


def _require_bare(names: pd.DataFrame, place: Callable[[int], str]) -> None:
    """Check that what is seen of a name is all there is: ``m`` and ``m`` with a space would be two models."""
    for column in names:
        for name in names[column].dropna().unique():
            if not is_bare(name):
                raise InputError(
                    f"Column {column!r} has a name with spaces at its ends, or invisible characters: {name!r}",
                    where=place(int(np.flatnonzero(names[column] == name)[0])),
                    fix=f"It would be another one than {bare(name)!r}: write that.",
                )


def _as_text(value: object) -> str:
    whole = isinstance(value, float) and value.is_integer()
    return str(int(value)) if whole else str(value)  # type: ignore[call-overload]


def _first_line(error: BaseException) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)
