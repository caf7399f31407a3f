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
from perturbench_lamin.errors import some

SHOWN = 60
"""Characters of a value that are shown."""


def compare_uns(a: Mapping[str, Any], b: Mapping[str, Any], config: CompareConfig) -> Part:
    """Compare two unstructured parts; an entry is named by its path, such as ``perturbench/control``."""
    left, right = dict(_entries(a)), dict(_entries(b))
    differences = [
        f"uns {path} differs: {_shown(left[path])} → {_shown(right[path])}"
        for path in left
        if path in right and not same_value(left[path], right[path], config)
    ]
    only_a, only_b = sorted(left.keys() - right.keys()), sorted(right.keys() - left.keys())
    sides = one_sided("uns entries", only_a, only_b, config)
    return Part(
        "uns",
        senses=sides["senses"],
        differences=(*differences, *sides["differences"]),
        details={"common": len(left.keys() & right.keys()), "only_a": only_a, "only_b": only_b},
    )


def _entries(mapping: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name in sorted(mapping, key=str):
        value = mapping[name]
        if isinstance(value, Mapping) and value:
            yield from _entries(value, f"{prefix}{name}/")
        else:
            yield f"{prefix}{name}", value


def same_value(a: Any, b: Any, config: CompareConfig) -> bool:
    """Whether two values of uns have the same content; numbers within tolerance."""
    if isinstance(a, pd.DataFrame) or isinstance(b, pd.DataFrame):
        return _same_frame(a, b, config)
    if sparse.issparse(a) or sparse.issparse(b):
        a, b = (value.toarray() if sparse.issparse(value) else value for value in (a, b))
    if isinstance(a, Mapping) or isinstance(b, Mapping):
        return isinstance(a, Mapping) and isinstance(b, Mapping) and not a and not b
    left, right = np.asarray(a), np.asarray(b)
    if left.shape != right.shape:
        return False
    if left.dtype.names or right.dtype.names:
        return bool(left.dtype.names == right.dtype.names and left.tolist() == right.tolist())
    return compare_columns(pd.Series(left.ravel()), pd.Series(right.ravel()), config).agrees


def _same_frame(a: Any, b: Any, config: CompareConfig) -> bool:
    if not (isinstance(a, pd.DataFrame) and isinstance(b, pd.DataFrame)):
        return False
    if a.shape != b.shape or set(a.columns) != set(b.columns) or list(map(str, a.index)) != list(map(str, b.index)):
        return False
    return all(compare_columns(a[name], b[name], config).agrees for name in a.columns)


def _shown(value: Any) -> str:
    if isinstance(value, pd.DataFrame):
        return f"a table of {len(value):,} rows"
    if isinstance(value, np.ndarray) and value.size > 1:
        return f"{some(value.ravel().tolist(), 3)}"
    text = str(value)
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}…"
