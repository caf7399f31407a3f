"""Inverse combination prediction: combinations are seen, some of their single perturbations are predicted."""

from __future__ import annotations

import random
from dataclasses import dataclass

import pandas as pd

from perturbench_lamin.conditions import ObsKeys
from perturbench_lamin.splitting.cells import Cells, Pair
from perturbench_lamin.splitting.combine import CombineParams, downsample, tokens_of
from perturbench_lamin.splitting.holdout import Holdout, assign


@dataclass(frozen=True, kw_only=True)
class CombineInverseParams(CombineParams):
    """Parameters of the task ``combine-inverse``.

    Attributes:
        max_heldout_fraction: the share of a state's single perturbations (the control counted) held out.
    """

    max_heldout_fraction: float = 0.3


def split_combine_inverse(obs: pd.DataFrame, keys: ObsKeys, params: CombineInverseParams) -> pd.Series:
    """Hold single perturbations out of each covariate state; combinations stay in train.

    Never both partners of a combination are held out in one state, so that one effect is always known. The draw goes
    by the order in which the table first names the singles: with other rows first it is another split.

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


def hold_out(cells: Cells, params: CombineInverseParams) -> Holdout:
    """Draw singles in each state, with the same seed each time."""
    tokens = tokens_of(cells)
    kept = downsample(cells, tokens, params.seed, params.downsample_fraction)
    held: list[Pair] = []
    for state in cells.states:
        here = [condition for condition in cells.in_order_of_table(state) if condition in kept]
        singles = [condition for condition in here if len(tokens[condition]) < 2]
        partners = _partners([tokens[condition] for condition in here if len(tokens[condition]) > 1])
        count = min(int(params.max_heldout_fraction * len(singles)), params.max_heldout_perturbations)
        named = {condition: tokens[condition] for condition in singles}
        held.extend((condition, state) for condition in _draw_apart(named, partners, count, params.seed))
    return Holdout(tuple(held), frozenset(cells.conditions) - kept)


def _draw_apart(singles: dict[str, tuple[str, ...]], partners: dict[str, set[str]], count: int, seed: int) -> list[str]:
    """The first ``count`` of the shuffled singles (name → token), passing over partners of those already taken.

    The control takes part, as in the published rule: drawn, it takes a place here and another in the val/test
    draw. Its cells are dealt out all the same.
    """
    shuffled = list(singles)
    random.Random(seed).shuffle(shuffled)
    taken: list[str] = []
    barred: set[str] = set()
    for single in shuffled:
        if len(taken) == count:
            break
        if barred.isdisjoint(singles[single]):
            taken.append(single)
            barred.update(*(partners.get(token, ()) for token in singles[single]))
    return taken


def _partners(combinations: list[tuple[str, ...]]) -> dict[str, set[str]]:
    """Which tokens occur together with each token."""
    found: dict[str, set[str]] = {}
    for tokens in combinations:
        for token in tokens:
            found.setdefault(token, set()).update(other for other in tokens if other != token)
    return found
