"""Combination prediction: single perturbations are seen, some combinations of them are predicted."""

from __future__ import annotations

import random
from dataclasses import dataclass

import pandas as pd

from perturbench_lamin.conditions import ObsKeys
from perturbench_lamin.errors import InputError
from perturbench_lamin.splitting.cells import Cells, Pair
from perturbench_lamin.splitting.holdout import Holdout, assign
from perturbench_lamin.splitting.params import SplitParams


@dataclass(frozen=True, kw_only=True)
class CombineParams(SplitParams):
    """Parameters of the task ``combine``.

    Attributes:
        max_heldout_fraction: the share of a state's combinations that is held out.
        max_heldout_perturbations: at most this many of them.
        downsample_fraction: the share of conditions kept; a combination is kept with all its singles only.
    """

    max_heldout_fraction: float = 0.7
    max_heldout_perturbations: int = 200
    downsample_fraction: float = 1.0


def split_combine(obs: pd.DataFrame, keys: ObsKeys, params: CombineParams) -> pd.Series:
    """Hold combinations out of each covariate state; single perturbations stay in train.

    The draw goes by the order in which a state's cells first name its combinations: a table whose rows stand in
    another order has another split.

    Args:
        obs: the table of cells.
        keys: its columns.
        params: the task's parameters.

    Returns:
        (cells,) "train", "val", "test" or "".

    Raises:
        InputError: no condition is a combination, the delimiter is part of a name, or too few pairs are
            held out to draw a val and a test set.
    """
    cells = Cells.from_obs(obs, keys)
    return assign(cells, hold_out(cells, params), params)


def hold_out(cells: Cells, params: CombineParams) -> Holdout:
    """Draw combinations in each state, with the same seed each time."""
    tokens = tokens_of(cells)
    kept = downsample(cells, tokens, params.seed, params.downsample_fraction)
    held: list[Pair] = []
    for state in cells.states:
        combinations = [c for c in cells.conditions_of(state) if c in kept and len(tokens[c]) > 1]
        count = min(int(params.max_heldout_fraction * len(combinations)), params.max_heldout_perturbations)
        held.extend((condition, state) for condition in random.Random(params.seed).sample(combinations, count))
    return Holdout(tuple(held), frozenset(cells.conditions) - kept)


def tokens_of(cells: Cells) -> dict[str, tuple[str, ...]]:
    """The tokens of every condition.

    Raises:
        InputError: no condition has more than one, or the delimiter is part of a name.
    """
    tokens = {condition: cells.keys.tokens(condition) for condition in cells.conditions}
    if not any(len(parts) > 1 for parts in tokens.values()):
        raise InputError(
            "No condition is a combination",
            where=f"column {cells.keys.perturbation}, delimiter {cells.keys.delimiter!r}",
            fix="Name the delimiter that joins perturbations, or take another task, such as transfer.",
        )
    return tokens


def downsample(cells: Cells, tokens: dict[str, tuple[str, ...]], seed: int, fraction: float) -> frozenset[str]:
    """Keep a share of the conditions, then only those combinations whose singles were all kept; never drop controls.

    A single is known by its token, whatever its name (``A+control``).

    The control takes part in the draw, as in the published rule, but keeps its cells whatever is drawn.
    """
    if fraction == 1:
        return frozenset(cells.conditions)
    drawn = set(random.Random(seed).sample(cells.appearance, int(fraction * len(cells.appearance))))
    singles = {token for c in drawn if len(tokens[c]) == 1 for token in tokens[c]}
    whole = {c for c in drawn if len(tokens[c]) < 2 or singles.issuperset(tokens[c])}
    return frozenset(whole | {cells.keys.control})
