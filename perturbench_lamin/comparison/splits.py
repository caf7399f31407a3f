"""Splits compared cell by cell, whether they stand in columns of obs or in files of their own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from perturbench_lamin.comparison.result import Part
from perturbench_lamin.comparison.settings import CompareConfig
from perturbench_lamin.comparison.tables import one_sided
from perturbench_lamin.contracts import SPLIT_NAMES
from perturbench_lamin.errors import InputError, some
from perturbench_lamin.splitting.io import EXCLUDED, read_split
from perturbench_lamin.storage.tables import Table

SPELLINGS: Mapping[str, str] = {
    **{name: name for name in SPLIT_NAMES},
    **dict.fromkeys(EXCLUDED, ""),
    "nan": "",
    "valid": "val",
    "validation": "val",
    "ood": "test",
}
"""How splits are spelled in the field, and here."""


SplitFiles = Sequence[str | Path] | Mapping[str, Path]


def read_splits(table: Table, files: SplitFiles) -> tuple[dict[str, pd.Series], list[str]]:
    """The splits of a file: those of its obs, and those that stand beside it.

    A column of obs is a split when its name contains ``split`` and its values are spellings of train, val, test and
    excluded, of which train is one.

    Args:
        table: the obs.
        files: split files for the same cells, each named for its task; or name → file.

    Returns:
        The splits by name, (cells,) each with ``train``, ``val``, ``test`` or ``""``; and the columns that they are.

    Raises:
        InputError: a split file is not one, or has other cells; or two have the same name.
    """
    columns = {name: values for name in table.columns if "split" in name.lower() and (values := _spelled(table, name))}
    splits = {name: pd.Series(values, dtype=object) for name, values in columns.items()}
    named = files.items() if isinstance(files, Mapping) else [(_stem(path), path) for path in files]
    for name, path in named:
        if name in splits:
            raise InputError(f"Two splits are named {name!r}", where=path, fix="Rename the file.")
        splits[name] = read_split(path, table.names).reset_index(drop=True)
    return splits, list(columns)


def _stem(path: str | Path) -> str:
    return Path(path).name.removesuffix(".gz").removesuffix(".csv")


def _spelled(table: Table, name: str) -> list[str] | None:
    values = table.column(name)
    if pd.api.types.is_numeric_dtype(values.dtype):
        return None
    texts = values.astype(object).where(values.notna(), "").map(str)
    kinds = set(texts.unique())
    return texts.map(SPELLINGS).tolist() if "train" in kinds and kinds <= SPELLINGS.keys() else None


def compare_splits(
    a: dict[str, pd.Series], b: dict[str, pd.Series], rows: tuple[np.ndarray, np.ndarray], names: pd.Index,
    config: CompareConfig,
) -> Part:  # fmt: skip
    """Compare the splits of two files on their common cells.

    Splits of one name are compared; others are paired by content; a single one left on each side is compared too.

    Args:
        a: the splits of the first file.
        b: of the second.
        rows: row numbers of a and of b that belong together.
        names: the cell names of a.
        config: options.
    """
    left = {name: split.to_numpy()[rows[0]] for name, split in a.items()}
    right = {name: split.to_numpy()[rows[1]] for name, split in b.items()}
    pairs = _pairs(left, right)
    senses = [f"split renamed {one} → {other}" for one, other in pairs if one != other]
    compared = [_compared(one, other, left[one], right[other], names[rows[0]], config) for one, other in pairs]
    only_a = [name for name in left if name not in {one for one, _ in pairs}]
    only_b = [name for name in right if name not in {other for _, other in pairs}]
    sides = one_sided("splits", only_a, only_b, config)
    return Part(
        "splits",
        senses=(*senses, *sides["senses"]),
        differences=(*(text for text, _ in compared if text), *sides["differences"]),
        details={"splits": [details for _, details in compared], "only_a": only_a, "only_b": only_b},
    )


def _pairs(left: dict[str, np.ndarray], right: dict[str, np.ndarray]) -> list[tuple[str, str]]:
    pairs = [(name, name) for name in left if name in right]
    free_a = [name for name in left if name not in right]
    free_b = [name for name in right if name not in left]
    for one in list(free_a):
        other = next((name for name in free_b if (left[one] == right[name]).all()), None)
        if other is not None:
            pairs.append((one, other))
            free_a.remove(one)
            free_b.remove(other)
    return pairs + ([(free_a[0], free_b[0])] if len(free_a) == len(free_b) == 1 else [])


def _compared(
    one: str, other: str, a: np.ndarray, b: np.ndarray, cells: pd.Index, config: CompareConfig
) -> tuple[str, dict[str, Any]]:
    """A sentence where they differ, else nothing; and the numbers."""
    counts = pd.DataFrame({"a": a, "b": b}).value_counts(sort=False).rename("cells").reset_index()
    counts = counts.replace({"a": {"": "excluded"}, "b": {"": "excluded"}}).sort_values(["a", "b"])
    first = [str(cell) for cell in cells[np.flatnonzero(a != b)[: config.examples]]]
    details = {"a": one, "b": other, "cells": counts.to_dict("records"), "unlike": int((a != b).sum()), "first": first}
    if not first:
        return "", details
    moved = counts[counts["a"] != counts["b"]].sort_values(["cells", "a", "b"], ascending=[False, True, True])
    shown = some(f"{x} → {y} ({n:,})" for x, y, n in moved.itertuples(index=False))
    return (
        f"split {one} differs in {details['unlike']:,} of {len(a):,} cells: {shown}; first {', '.join(first[:3])}",
        details,
    )
