"""The unstructured part (uns) of two files compared entry by entry."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd
from scipy import sparse

from perturbench_lamin.comparison.columns import compare_columns
from perturbench_lamin.comparison.result import Part
from perturbench_lamin.comparison.settings import CompareConfig
from perturbench_lamin.comparison.tables import one_sided
from perturbench_lamin.comparison.tree import same
from perturbench_lamin.errors import some

SHOWN = 60
"""Characters of a value that are shown."""

DIFFERENT = None
Senses = tuple[str, ...] | None
"""In what senses two values are the same; :data:`DIFFERENT` where they are not."""


def compare_uns(a: Mapping[str, Any], b: Mapping[str, Any], config: CompareConfig) -> Part:
    """Compare two unstructured parts; an entry is named by its path, such as ``perturbench/control``."""
    left, right = dict(_entries(a)), dict(_entries(b))
    found = {path: value_senses(left[path], right[path], config) for path in left if path in right}
    only_a, only_b = sorted(left.keys() - right.keys()), sorted(right.keys() - left.keys())
    sides = one_sided("uns entries", only_a, only_b, config)
    return Part(
        "uns",
        senses=(
            *(f"uns {path}: {sense}" for path, senses in found.items() for sense in senses or ()),
            *sides["senses"],
        ),
        differences=(
            *(
                f"uns {path} differs: {_shown(left[path])} → {_shown(right[path])}"
                for path, senses in found.items()
                if senses is DIFFERENT
            ),
            *sides["differences"],
        ),
        details={"common": len(left.keys() & right.keys()), "only_a": only_a, "only_b": only_b},
    )


def _entries(mapping: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name in sorted(mapping, key=str):
        value = mapping[name]
        if isinstance(value, Mapping) and value and not _is_stored(value):
            yield from _entries(value, f"{prefix}{name}/")
        else:
            yield f"{prefix}{name}", value


def same_value(a: Any, b: Any, config: CompareConfig) -> bool:
    """Whether two values of uns have the same content; numbers within tolerance."""
    return value_senses(a, b, config) is not DIFFERENT


def value_senses(a: Any, b: Any, config: CompareConfig) -> Senses:
    """In what senses two values of uns are the same: none where they are so in every one.

    Args:
        a: a value, or an element of the file that anndata cannot read.
        b: another.
        config: tolerances for numbers.
    """
    if _is_stored(a) or _is_stored(b):
        return _told(type(a) is type(b) and same(a, b))
    if isinstance(a, pd.DataFrame) or isinstance(b, pd.DataFrame):
        return _frame_senses(a, b, config)
    if isinstance(a, Mapping) or isinstance(b, Mapping):
        return _told(isinstance(a, Mapping) and isinstance(b, Mapping) and not a and not b)
    form: tuple[str, ...] = ()
    if sparse.issparse(a) or sparse.issparse(b):
        kinds = [value.format if sparse.issparse(value) else "dense" for value in (a, b)]
        form = () if kinds[0] == kinds[1] else (f"encoding ({kinds[0]} / {kinds[1]})",)
        a, b = (value.toarray() if sparse.issparse(value) else value for value in (a, b))
    left, right = np.asarray(a), np.asarray(b)
    if left.shape != right.shape:
        return DIFFERENT
    if left.dtype.names or right.dtype.names:
        if left.dtype.names != right.dtype.names:
            return DIFFERENT
        return _frame_senses(pd.DataFrame(_fields(left)), pd.DataFrame(_fields(right)), config)
    found = compare_columns(pd.Series(left.ravel()), pd.Series(right.ravel()), config)
    return (*form, *found.senses) if found.agrees else DIFFERENT


def _is_stored(value: Any) -> bool:
    """Whether a value is an element of the file that anndata cannot read."""
    return hasattr(value, "attrs") and not isinstance(value, pd.DataFrame | pd.Series)


def _fields(records: np.ndarray) -> dict[str, list[Any]]:
    """The fields of an array of records; text as text."""
    found = {name: records[name].ravel().tolist() for name in records.dtype.names or ()}
    return {name: [v.decode() if isinstance(v, bytes) else v for v in values] for name, values in found.items()}


def _told(same_content: bool) -> Senses:
    return () if same_content else DIFFERENT


def _frame_senses(a: Any, b: Any, config: CompareConfig) -> Senses:
    if not (isinstance(a, pd.DataFrame) and isinstance(b, pd.DataFrame)):
        return DIFFERENT
    if a.shape != b.shape or set(a.columns) != set(b.columns) or list(map(str, a.index)) != list(map(str, b.index)):
        return DIFFERENT
    found = {name: compare_columns(a[name], b[name], config) for name in a.columns}
    if not all(column.agrees for column in found.values()):
        return DIFFERENT
    order = () if list(a.columns) == list(b.columns) else ("order of columns",)
    return (*order, *(f"column {name}: {sense}" for name, column in found.items() for sense in column.senses))


def _shown(value: Any) -> str:
    if isinstance(value, pd.DataFrame):
        return f"a table of {len(value):,} rows"
    if isinstance(value, np.ndarray) and value.size > 1:
        return f"{some(value.ravel().tolist(), 3)}"
    text = str(value)
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}…"
