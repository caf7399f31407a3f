"""The cells of a table as codes, and the orders in which a split walks over its conditions and covariate states."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from perturbench_lamin.conditions import ObsKeys

State = tuple[str, ...]
Pair = tuple[str, State]
"""A condition in a covariate state: what is held out, always with all its cells."""

Codes = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]


def state_name(state: State) -> str:
    """How messages name a covariate state: its values, joined by a slash."""
    return "/".join(state) or "all cells"


@dataclass(frozen=True)
class Cells:
    """Which (condition, covariate state) pair each cell belongs to.

    The orders matter: random draws pick by position, so they are part of what a seed means.

    Attributes:
        names: cell names, in the order of the table.
        keys: the columns and the control value that the table was read with.
        conditions: sorted by their tokens as they are written, so that a control that is named among them changes
            nothing; the control included. The order of a column's categories, or its type, has no say.
        states: sorted as text, by the first covariate, then the second, and so on.
        appearance: ``conditions`` in the order in which the table first names them.
        pairs: every observed pair, in order of first appearance.
        pair_codes: (cells,) each cell's position in ``pairs``.
    """

    names: pd.Index
    keys: ObsKeys
    conditions: tuple[str, ...]
    states: tuple[State, ...]
    appearance: tuple[str, ...]
    pairs: tuple[Pair, ...]
    pair_codes: Codes

    @classmethod
    def from_obs(cls, obs: pd.DataFrame, keys: ObsKeys) -> Cells:
        """Read a table of cells from :func:`~perturbench_lamin.conditions.check_obs`: one spelling a condition."""
        condition_codes, conditions = _factorize(obs[keys.perturbation], keys.sort_key)
        state_codes, states = _factorize_states(obs, keys)
        joint = condition_codes * np.int64(len(states)) + state_codes
        pair_codes, observed = pd.factorize(joint)
        pairs = [(conditions[code // len(states)], states[code % len(states)]) for code in observed.tolist()]
        return cls(
            names=obs.index,
            keys=keys,
            conditions=tuple(conditions),
            states=tuple(states),
            appearance=tuple(dict.fromkeys(condition for condition, _ in pairs)),
            pairs=tuple(pairs),
            pair_codes=pair_codes.astype(np.int64),
        )

    def states_of(self) -> dict[str, list[State]]:
        """The states of each condition but the control, in order of first appearance."""
        found: dict[str, list[State]] = {c: [] for c in self.conditions if c != self.keys.control}
        for condition, state in self.pairs:
            if condition != self.keys.control:
                found[condition].append(state)
        return found

    def conditions_of(self, state: State) -> list[str]:
        """The conditions of one state, the control included, in order of first appearance in that state."""
        return [condition for condition, other in self.pairs if other == state]

    def in_order_of_table(self, state: State) -> list[str]:
        """The conditions of one state, the control included, in the order of ``appearance``."""
        here = set(self.conditions_of(state))
        return [condition for condition in self.appearance if condition in here]

    def spread(self, split_of: Mapping[Pair, str]) -> pd.Series:
        """Give each cell the split of its pair, ``"train"`` where ``split_of`` says nothing."""
        of_pair = np.array([split_of.get(pair, "train") for pair in self.pairs], dtype=object)
        return pd.Series(of_pair[self.pair_codes], index=self.names, name="split", dtype=object)

    def is_control(self) -> Mask:
        """(cells,) which cells are controls."""
        of_pair = np.array([condition == self.keys.control for condition, _ in self.pairs], dtype=bool)
        return of_pair[self.pair_codes]


def _factorize(column: pd.Series, key: Callable[[str], str] = str) -> tuple[Codes, list[str]]:
    """Codes and values as text, sorted by ``key``."""
    codes, values = pd.factorize(column)
    texts = [str(value) for value in values]
    names = sorted(set(texts), key=lambda name: (key(name), name))
    place = {name: number for number, name in enumerate(names)}
    return np.array([place[text] for text in texts], dtype=np.int64)[codes], names


def _factorize_states(obs: pd.DataFrame, keys: ObsKeys) -> tuple[Codes, list[State]]:
    """Codes and tuples of the covariate states, sorted by the first column, then the second, and so on."""
    columns = [_factorize(obs[column]) for column in keys.covariates]
    codes: Codes = np.zeros(len(obs), dtype=np.int64)
    states: list[State] = [()]
    for column_codes, values in columns:
        # Renumbering after each column keeps the codes below the number of cells, whatever the number of columns.
        joint, codes = np.unique(codes * np.int64(len(values)) + column_codes, return_inverse=True)
        states = [(*states[code // len(values)], values[code % len(values)]) for code in joint.tolist()]
    return codes, states
