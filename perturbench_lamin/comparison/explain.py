"""Which column of a table tells the chosen rows from the others, such as ``good_coverage == False``."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd

from perturbench_lamin.comparison.columns import MISSING
from perturbench_lamin.errors import some
from perturbench_lamin.storage.tables import Table

LEAST = 0.5
"""Share of the chosen rows that satisfy a predicate, less the share of the others: below it, nothing is explained."""

MOST_VALUES = 10
"""Values that a set may have."""

GAIN = 0.05
"""How much more a set, or a group size, must tell than a single value."""


@dataclass(frozen=True)
class Predicate:
    """A condition on one column.

    Attributes:
        text: the condition, such as ``good_coverage == False``.
        column: the column.
        coverage: share of the chosen rows that satisfy it.
        purity: share of chosen rows among those that satisfy it.
        chosen: how many chosen rows satisfy it.
        others: how many others do.
    """

    text: str
    column: str
    coverage: float
    purity: float
    chosen: int
    others: int

    @property
    def complete(self) -> bool:
        """Whether all chosen rows satisfy it, and no other."""
        return self.coverage == 1 and self.others == 0


def explain(
    table: Table, rows: np.ndarray, chosen: np.ndarray, most: int = 5, *, without: Collection[str] = ()
) -> list[Predicate]:
    """Find the conditions on single columns that best tell the chosen rows from the others.

    Tried are: a value, a few values, all but a value, a threshold on a number, missing, and a threshold on how many
    rows share the row's value (groups too small to keep). They are ranked by coverage less the share of the other
    rows that satisfy them (Youden's J); one condition a column.

    Args:
        table: the table.
        rows: the rows to look at.
        chosen: (rows,) bool.
        most: how many conditions to return.
        without: columns that are not to be used.

    Returns:
        The conditions, best first; none where no row, or every row, is chosen, or where nothing tells them apart.
    """
    if not chosen.any() or chosen.all():
        return []
    found = []
    for name, values in table.items():
        if name not in without:
            candidates = list(_candidates(name, values.iloc[rows], chosen))
            found += [max(candidates, key=lambda candidate: candidate[0])] if candidates else []
    telling = [candidate for candidate in found if candidate[0] >= LEAST]
    return [predicate for _, predicate in sorted(telling, key=lambda candidate: -candidate[0])[:most]]


def told(predicates: list[Predicate]) -> list[dict[str, Any]]:
    """As plain JSON values."""
    return [asdict(predicate) for predicate in predicates]


def sentence(predicates: list[Predicate], what: str) -> str:
    """The best condition in words."""
    best = predicates[0]
    many = "all" if best.coverage == 1 else f"{best.coverage:.1%}"
    others = "and no other" if not best.others else f"and {best.others:,} others, so that purity is {best.purity:.1%}"
    return f"{many} of {what}, {others}, have {best.text}"


Scored = tuple[float, Predicate]


def _candidates(name: str, values: pd.Series, chosen: np.ndarray) -> Iterator[Scored]:
    values = values.reset_index(drop=True)
    if isinstance(values.dtype, pd.CategoricalDtype) and pd.api.types.is_numeric_dtype(values.cat.categories.dtype):
        values = values.astype(float)
    if pd.api.types.is_numeric_dtype(values.dtype) and not pd.api.types.is_bool_dtype(values.dtype):
        numbers = values.to_numpy(dtype=np.float64, na_value=np.nan)
        yield from _thresholds(name, name, numbers, chosen)
        if values.nunique() > MOST_VALUES:
            return
    yield from _values(name, values, chosen)


def _values(name: str, values: pd.Series, chosen: np.ndarray) -> Iterator[Scored]:
    """One value, all but one, a few values, and the size of groups of a value."""
    texts = values.astype(object).where(values.notna(), MISSING).map(str)
    codes, names = pd.factorize(texts, sort=True)
    uniques = [str(name) for name in names]
    inside, outside = (np.bincount(codes[mask], minlength=len(uniques)) for mask in (chosen, ~chosen))
    gains = inside / chosen.sum() - outside / (~chosen).sum()
    best, least = int(np.argmax(gains)), int(np.argmin(gains))
    single = _scored(f"{name} == {uniques[best]}", name, inside[best], outside[best], chosen)
    yield single
    yield _scored(
        f"{name} != {uniques[least]}", name, inside.sum() - inside[least], outside.sum() - outside[least], chosen,
        penalty=1e-9,
    )  # fmt: skip
    several = np.flatnonzero(gains > 0)
    if 1 < len(several) <= MOST_VALUES and gains[several].sum() >= single[0] + GAIN:
        text = f"{name} in {{{some((uniques[k] for k in several), MOST_VALUES)}}}"
        yield _scored(text, name, inside[several].sum(), outside[several].sum(), chosen)
    if 1 < len(uniques) < len(codes):
        sizes = (inside + outside)[codes].astype(np.float64)
        yield from _thresholds(f"rows with the same {name}", name, sizes, chosen, penalty=GAIN)


def _thresholds(
    label: str, column: str, numbers: np.ndarray, chosen: np.ndarray, penalty: float = 0.0
) -> Iterator[Scored]:
    """The best of all conditions ``< t`` and ``≥ t``; missing numbers satisfy neither."""
    known = ~np.isnan(numbers)
    order = np.argsort(numbers[known], kind="stable")
    ordered, marks = numbers[known][order], chosen[known][order]
    cuts = np.flatnonzero(np.diff(ordered) > 0)
    if not len(cuts):
        return
    inside, outside = np.cumsum(marks), np.cumsum(~marks)
    totals = int(inside[-1]), int(outside[-1])
    below = inside[cuts] / chosen.sum() - outside[cuts] / (~chosen).sum()
    above = (totals[0] - inside[cuts]) / chosen.sum() - (totals[1] - outside[cuts]) / (~chosen).sum()
    for sign, gains in (("<", below), ("≥", above)):
        at = cuts[int(np.argmax(gains))]
        limit = round_between(float(ordered[at]), float(ordered[at + 1]))
        counts = (inside[at], outside[at]) if sign == "<" else (totals[0] - inside[at], totals[1] - outside[at])
        yield _scored(f"{label} {sign} {limit:.10g}", column, *counts, chosen, penalty=penalty)


def round_between(low: float, high: float) -> float:
    """The number with the fewest digits that is above ``low`` and at most ``high``."""
    if not np.isfinite(high - low):
        return high
    digits = int(np.ceil(-np.log10(high - low))) - 1
    for places in range(digits, digits + 18):
        made = round(np.floor(high * 10.0**places) / 10.0**places, max(places, 0))
        if low < made <= high:
            return float(made)
    return high


def _scored(text: str, column: str, inside: Any, outside: Any, chosen: np.ndarray, penalty: float = 0.0) -> Scored:
    n = int(chosen.sum())
    inside, outside = int(inside), int(outside)
    purity = inside / (inside + outside) if inside + outside else 0.0
    score = inside / n - outside / (len(chosen) - n) - penalty
    return score, Predicate(text, column, inside / n, purity, inside, outside)
