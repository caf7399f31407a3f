"""Unseen perturbations: some genes or compounds are held out of every covariate state, with all their combinations."""

from __future__ import annotations

import random
from dataclasses import dataclass

import numpy as np
import pandas as pd

from perturbench_lamin.conditions import ObsKeys
from perturbench_lamin.errors import InputError
from perturbench_lamin.splitting.cells import Cells
from perturbench_lamin.splitting.controls import deal_by_state
from perturbench_lamin.splitting.params import SplitParams, share_of
from perturbench_lamin.splitting.parts import require_parts


@dataclass(frozen=True, kw_only=True)
class UnseenParams(SplitParams):
    """Parameters of the task ``unseen``.

    Attributes:
        max_heldout_fraction: the share of tokens (single perturbations, the control not counted) held out.
        test_fraction: the share of these that become test; the rest become val.
        train_control_fraction: the share of each state's control cells in train; val and test halve the rest.
    """

    seed: int = 42
    max_heldout_fraction: float = 0.3


def split_unseen(obs: pd.DataFrame, keys: ObsKeys, params: UnseenParams) -> pd.Series:
    """Hold whole perturbations out: no train cell has one, alone or in a combination, in any state.

    A combination with a token of test is test, and another one with a token of val is val: test tokens occur in
    test alone. To predict such a condition a model needs to know something of a perturbation beside its name.

    Args:
        obs: the table of cells.
        keys: its columns.
        params: the task's parameters.

    Returns:
        (cells,) "train", "val" or "test".

    Raises:
        InputError: the delimiter is part of a name, too few perturbations are held out to have one in val and one
            in test, no perturbed cell is left in train, or a state has too few control cells.
    """
    cells = Cells.from_obs(obs, keys)
    tokens = {condition: cells.keys.tokens(condition) for condition in cells.conditions}
    val, test = draw_tokens(sorted({token for parts in tokens.values() for token in parts}), params)
    part_of = {
        condition: "test" if test.intersection(parts) else "val" if val.intersection(parts) else "train"
        for condition, parts in tokens.items()
    }
    require_parts(
        [part for condition, part in part_of.items() if condition != keys.control],
        where=f"max_heldout_fraction {params.max_heldout_fraction}",
        fix="Hold out another share, or draw with another seed: combinations go with their held-out perturbations.",
    )
    split = cells.spread({pair: part_of[pair[0]] for pair in cells.pairs})
    controls = np.flatnonzero(cells.is_control())
    dealt = deal_by_state(cells, controls, params.train_control_fraction, (params.seed, params.seed))
    for part, positions in dealt.items():
        split.iloc[positions] = part
    return split


def draw_tokens(tokens: list[str], params: UnseenParams) -> tuple[frozenset[str], frozenset[str]]:
    """Draw the tokens of val and of test.

    Raises:
        InputError: there are too few to have one in each.
    """
    count = share_of(params.max_heldout_fraction, len(tokens))
    n_test = count - share_of(1 - params.test_fraction, count)
    if not 0 < n_test < count:
        raise InputError(
            f"{count} of {len(tokens)} perturbations are held out: not one each for val and test",
            where=f"max_heldout_fraction {params.max_heldout_fraction}, test_fraction {params.test_fraction}",
            fix="Raise max_heldout_fraction, or bring test_fraction nearer to 0.5.",
        )
    drawn = random.Random(params.seed).sample(tokens, count)
    return frozenset(drawn[n_test:]), frozenset(drawn[:n_test])
