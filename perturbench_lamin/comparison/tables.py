"""Two tables (obs or var) compared column by column; columns under other names are found by their content."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterator
from typing import Any

import numpy as np
import pandas as pd

from perturbench_lamin.comparison.columns import ColumnComparison, compare_columns
from perturbench_lamin.comparison.explain import explain, told
from perturbench_lamin.comparison.result import Part
from perturbench_lamin.comparison.settings import CompareConfig
from perturbench_lamin.errors import some
from perturbench_lamin.storage.tables import Table

SAMPLE = 512
"""Rows that must agree before whole columns of different names are compared."""


ALIKE = 0.5
"""How alike the names of two columns must be that hold one value throughout: content says little of them."""


def compare_tables(
    name: str,
    a: Table,
    b: Table,
    rows: tuple[np.ndarray, np.ndarray],
    config: CompareConfig,
    *,
    without: tuple[Collection[str], Collection[str]] = ((), ()),
) -> Part:
    """Compare two tables on their common rows.

    Args:
        name: of the part, ``obs`` or ``var``.
        a: the first table.
        b: the second.
        rows: row numbers of a and of b that belong together.
        config: tolerances and options.
        without: columns of a and of b that are left out.
    """
    columns_a = [column for column in a.columns if column not in without[0]]
    columns_b = [column for column in b.columns if column not in without[1]]
    collected = _Collected(name, a.names[rows[0]], config)
    for column in (column for column in columns_a if column in columns_b):
        collected.add(
            column, column, compare_columns(a.column(column).iloc[rows[0]], b.column(column).iloc[rows[1]], config)
        )
    left = [column for column in columns_a if column not in columns_b]
    right = [column for column in columns_b if column not in columns_a]
    for one, other, found in _renamed(a, b, left, right, rows, config) if len(rows[0]) else ():
        left.remove(one)
        right.remove(other)
        collected.add(one, other, found)
    return collected.part(left, right, a, rows[0])


def one_sided(what: str, only_a: Collection[str], only_b: Collection[str], config: CompareConfig) -> dict[str, tuple]:
    """What only one file has, as differences, or as senses where only common things are judged."""
    texts = tuple(f"{what} only in {side}: {some(names)}" for side, names in (("A", only_a), ("B", only_b)) if names)
    return {"senses": texts, "differences": ()} if config.common else {"senses": (), "differences": texts}


class _Collected:
    """The columns compared so far."""

    def __init__(self, name: str, names: pd.Index, config: CompareConfig) -> None:
        self.name, self.names, self.config = name, names, config
        self.senses: list[str] = []
        self.differences: list[str] = []
        self.columns: list[dict[str, Any]] = []
        self.unlike: dict[str, np.ndarray] = {}

    def add(self, one: str, other: str, found: ColumnComparison) -> None:
        senses = [*([f"renamed {one} → {other}"] if one != other else []), *(f"{one}: {s}" for s in found.senses)]
        self.senses += [f"{self.name} {sense}" for sense in senses]
        count = int(found.unlike.sum())
        first = [str(name) for name in self.names[np.flatnonzero(found.unlike)[: self.config.examples]]]
        self.columns.append(
            {
                "a": one,
                "b": other,
                "unlike": count,
                "senses": list(found.senses),
                "one_to_one": found.one_to_one,
                "first": first,
                "pairs": found.pairs.to_dict("records"),
            }
        )
        if count:
            self.unlike[one] = found.unlike
            self.differences.append(self._difference(one, count, len(found.unlike), found, first))

    def _difference(self, column: str, count: int, total: int, found: ColumnComparison, first: list[str]) -> str:
        pairs = [f"{_text(a)} → {_text(b)} ({n:,})" for a, b, n in found.pairs.itertuples(index=False)]
        shown = ", ".join(pairs[:3]) + (", …" if sum(found.pairs["cells"][:3]) < count else "")
        how = "; the values correspond one to one" if found.one_to_one else ""
        where = f"{count:,} of {total:,} rows"
        return f"{self.name} column {column} differs in {where}{how}: {shown}; first at {', '.join(first[:3])}"

    def part(self, only_a: list[str], only_b: list[str], table: Table, rows: np.ndarray) -> Part:
        sides = one_sided(f"{self.name} columns", only_a, only_b, self.config)
        reasons = {}
        for column, unlike in list(self.unlike.items())[: self.config.examples]:  # each reads the whole table
            found = explain(table, rows, unlike, self.config.examples, without=(column,))
            if found:
                reasons[column] = told(found)
        return Part(
            self.name,
            senses=(*self.senses, *sides["senses"]),
            differences=(*self.differences, *sides["differences"]),
            notes=tuple(f"{column} differs where {text[0]['text']}" for column, text in reasons.items()),
            details={"columns": self.columns, "only_a": only_a, "only_b": only_b, "explanations": reasons},
        )


def _renamed(
    a: Table, b: Table, left: list[str], right: list[str], rows: tuple[np.ndarray, np.ndarray], config: CompareConfig
) -> Iterator[tuple[str, str, ColumnComparison]]:
    """Pairs of columns with the same content; each column once, most alike names first."""
    places = np.unique(np.linspace(0, len(rows[0]) - 1, min(SAMPLE, len(rows[0]))).astype(np.int64))
    samples = {column: b.column(column).iloc[rows[1][places]] for column in right}
    for one in list(left):
        whole = a.column(one).iloc[rows[0]]
        least = ALIKE if whole.nunique(dropna=False) < 2 else 0.0
        likeness = {other: _likeness(one, other) for other in samples}
        for other in sorted(samples, key=lambda name: (-likeness[name], name)):
            if likeness[other] < least or not compare_columns(whole.iloc[places], samples[other], config).agrees:
                continue
            found = compare_columns(whole, b.column(other).iloc[rows[1]], config)
            if found.agrees:
                del samples[other]
                yield one, other, found
                break


def _likeness(one: str, other: str) -> float:
    return difflib.SequenceMatcher(None, one.lower(), other.lower(), autojunk=False).ratio()


def _text(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
