"""Which cells belong together: the pairs (covariate state, condition) of a table of cells."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
import pandas as pd

from perturbench_lamin.conditions import ObsKeys

State = tuple[str, ...]
Pair = tuple[State, str]


@dataclass(frozen=True)
class Groups:
    """Cells grouped by (covariate state, condition).

    Attributes:
        pairs: the pairs that occur, sorted.
        codes: each cell's index into ``pairs``; −1 for cells to leave out.
        control: the condition of control cells.
    """

    pairs: tuple[Pair, ...]
    codes: np.ndarray
    control: str

    @property
    def index(self) -> dict[Pair, int]:
        """Each pair's code."""
        return {pair: code for code, pair in enumerate(self.pairs)}

    @property
    def perturbed(self) -> tuple[Pair, ...]:
        """The pairs other than controls, sorted."""
        return tuple(pair for pair in self.pairs if pair[1] != self.control)

    @property
    def states(self) -> tuple[State, ...]:
        """The covariate states that occur, sorted."""
        return tuple(sorted({state for state, _ in self.pairs}))

    @property
    def sizes(self) -> np.ndarray:
        """Number of cells of each pair."""
        return np.bincount(self.codes[self.codes >= 0], minlength=len(self.pairs))

    @property
    def rows(self) -> list[np.ndarray]:
        """The cells of each pair, in their order."""
        order = np.argsort(self.codes, kind="stable")
        starts = np.searchsorted(self.codes[order], np.arange(len(self.pairs) + 1))
        return [order[a:b] for a, b in itertools.pairwise(starts)]

    def only(self, kept: np.ndarray) -> Groups:
        """The same pairs with code −1 for the cells that are not kept, which statistics then leave out."""
        return Groups(self.pairs, np.where(kept, self.codes, -1), self.control)

    def present(self) -> Groups:
        """Without the pairs that have no cells."""
        used = np.flatnonzero(self.sizes)
        renamed = np.full(len(self.pairs) + 1, -1)  # the last one for code −1
        renamed[used] = np.arange(len(used))
        return Groups(tuple(self.pairs[code] for code in used), renamed[self.codes], self.control)


def group_cells(obs: pd.DataFrame, keys: ObsKeys) -> Groups:
    """Group cells by their covariate state and condition.

    Works on category codes, so that a million cells take milliseconds, not a tuple each.
    """
    columns = [_as_categories(obs[name]) for name in (*keys.covariates, keys.perturbation)]
    mixed = np.zeros(len(obs), dtype=np.int64)
    for codes, names in columns:
        mixed = mixed * len(names) + codes
    found, codes = np.unique(mixed, return_inverse=True)
    values: list[np.ndarray] = []
    for _, names in reversed(columns):
        values.insert(0, names[found % len(names)] if len(names) else names)
        found = found // max(len(names), 1)
    pairs = tuple((tuple(str(v) for v in row[:-1]), str(row[-1])) for row in zip(*values, strict=True))
    return Groups(pairs, codes.astype(np.int64), keys.control)


def _as_categories(column: pd.Series) -> tuple[np.ndarray, np.ndarray]:
    """Codes into the sorted distinct values, as strings."""
    codes, values = pd.factorize(column)
    names, renamed = np.unique(np.array([str(value) for value in values], dtype=object), return_inverse=True)
    return renamed[codes] if len(values) else codes, names
