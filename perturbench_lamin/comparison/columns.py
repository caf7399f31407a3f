"""Two columns of a table compared by content, whatever their dtype."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from perturbench_lamin.comparison.settings import CompareConfig

MISSING = "(missing)"


@dataclass(frozen=True)
class ColumnComparison:
    """How two columns relate.

    Attributes:
        unlike: (rows,) bool, where they differ.
        senses: in what sense they agree elsewhere, such as ``dtype`` or ``within tolerance``.
        pairs: the most frequent unlike pairs of values: ``a``, ``b``, ``cells``; most frequent first.
        one_to_one: whether each value of a stands for one value of b and the reverse.
    """

    unlike: np.ndarray
    senses: tuple[str, ...]
    pairs: pd.DataFrame
    one_to_one: bool = False

    @property
    def agrees(self) -> bool:
        """Whether nothing differs."""
        return not self.unlike.any()


def compare_columns(a: pd.Series, b: pd.Series, config: CompareConfig) -> ColumnComparison:
    """Compare two columns row by row. A missing value agrees with a missing value alone.

    Categories are compared by their values, so that a categorical column and one of text can be the same; text that
    spells numbers is compared with numbers as numbers, and truth values as the text ``True`` and ``False``.

    Args:
        a: (rows,) the first column.
        b: (rows,) the second, in the same order.
        config: tolerances for numbers; two columns of whole numbers are compared exactly.
    """
    left, right = _plain(a), _plain(b)
    senses: tuple[str, ...] = () if _kind(a) == _kind(b) else (f"dtype ({_kind(a)} / {_kind(b)})",)
    numbers = _as_numbers(left, right)
    if numbers is not None:
        unlike, exact = _compare_numbers(*numbers, config)
        senses += () if exact or unlike.all() else ("within tolerance",)
        return ColumnComparison(
            unlike, senses, _frequent(pd.DataFrame({"a": numbers[0], "b": numbers[1]})[unlike], config)
        )
    missing = left.isna().to_numpy() != right.isna().to_numpy()
    texts = pd.DataFrame({"a": _as_text(left), "b": _as_text(right)})
    unlike = missing | (texts["a"] != texts["b"]).to_numpy(dtype=bool)
    return ColumnComparison(unlike, senses, _frequent(texts[unlike], config), bool(unlike.any()) and _one_to_one(texts))


def _plain(column: pd.Series) -> pd.Series:
    """Categories as their values."""
    column = column.reset_index(drop=True)
    if isinstance(column.dtype, pd.CategoricalDtype):
        return column.astype(column.cat.categories.dtype if column.notna().all() else object).infer_objects()
    return column


def _kind(column: pd.Series) -> str:
    if isinstance(column.dtype, pd.CategoricalDtype):
        return "category"
    if pd.api.types.is_object_dtype(column.dtype) or pd.api.types.is_string_dtype(column.dtype):
        return "text"
    return str(column.dtype)  # Int64, which may lack values, is not int64


def _is_number(column: pd.Series) -> bool:
    return pd.api.types.is_numeric_dtype(column.dtype) and not pd.api.types.is_bool_dtype(column.dtype)


def _as_numbers(a: pd.Series, b: pd.Series) -> tuple[np.ndarray, np.ndarray] | None:
    """Both as float64 (or whole numbers) where at least one holds numbers and the other can be read as such."""
    if not (_is_number(a) or _is_number(b)):
        return None
    if (
        pd.api.types.is_integer_dtype(a.dtype)
        and pd.api.types.is_integer_dtype(b.dtype)
        and not (a.hasnans or b.hasnans)
    ):
        return _whole(a), _whole(b)  # exact beyond 2^53, too
    read = [pd.to_numeric(column, errors="coerce") for column in (a, b)]
    if any(bool((made.isna() & column.notna()).any()) for made, column in zip(read, (a, b), strict=True)):
        return None
    left, right = (made.astype("float64").to_numpy(dtype=np.float64, na_value=np.nan) for made in read)
    return left, right


def _whole(column: pd.Series) -> np.ndarray:
    return column.to_numpy(dtype=np.uint64 if column.dtype.name.lower() == "uint64" else np.int64)


def _compare_numbers(a: np.ndarray, b: np.ndarray, config: CompareConfig) -> tuple[np.ndarray, bool]:
    """Where two arrays differ, and whether the rest is exactly equal."""
    if a.dtype.kind in "iu":
        return a != b, True
    same = (a == b) | (np.isnan(a) & np.isnan(b))
    if all((array[np.isfinite(array)] % 1 == 0).all() for array in (a, b)):  # whole numbers are equal or not
        return ~same, True
    with np.errstate(invalid="ignore"):
        near = np.abs(a - b) <= config.atol + config.rtol * np.maximum(np.abs(a), np.abs(b))
    near &= np.isfinite(a) & np.isfinite(b)
    return ~(same | near), bool((same | ~near).all())


def _as_text(column: pd.Series) -> pd.Series:
    missing = column.isna()
    return column.astype(object).map(str).where(~missing, MISSING)


def _frequent(unlike: pd.DataFrame, config: CompareConfig) -> pd.DataFrame:
    """The most frequent pairs; ties by value."""
    pairs = unlike.value_counts(sort=False, dropna=False).rename("cells").reset_index()
    pairs = pairs.sort_values(["cells", "a", "b"], ascending=[False, True, True])
    return pairs.head(config.examples).reset_index(drop=True)


def _one_to_one(texts: pd.DataFrame) -> bool:
    """Whether values correspond one to one, and there are some of them, but fewer than rows."""
    pairs = texts.drop_duplicates()
    kinds = (pairs["a"].nunique(), pairs["b"].nunique())
    return kinds == (len(pairs), len(pairs)) and 1 < len(pairs) < len(texts)
