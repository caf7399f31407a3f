"""Imbalanced data: fewer conditions in some covariate states than in others, then covariate transfer.

The balance of a table is the entropy of its states' numbers of conditions, relative to that of equal numbers:
1 where all states have as many, towards 0 where one has nearly all.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from perturbench_lamin.conditions import ObsKeys
from perturbench_lamin.errors import InputError, some
from perturbench_lamin.splitting.cells import Cells, Pair
from perturbench_lamin.splitting.transfer import TransferParams, split_transfer_of

TINY = 1e-8
"""Added within the logarithm, as in the published definition."""


@dataclass(frozen=True, kw_only=True)
class ImbalanceParams(TransferParams):
    """Parameters of the task ``imbalance``; those of ``transfer`` are for the table made imbalanced.

    Attributes:
        balance: what to make the balance; 1 leaves the table as it is.
        tolerance: how near the balance must come.
        min_conditions: the fewest conditions (the control counted) that a state may keep.
        max_draws: how many times numbers of conditions are drawn before giving up.
        sampling_seed: seeds the search for these numbers, and anew the choice of the conditions.
    """

    seed: int = 57
    max_heldout_covariates: int = 1
    balance: float = 1.0
    tolerance: float = 0.01
    min_conditions: int = 30
    max_draws: int = 10_000
    sampling_seed: int = 42


def split_imbalance(obs: pd.DataFrame, keys: ObsKeys, params: ImbalanceParams) -> pd.Series:
    """Take conditions away from all states but the first until the balance is as asked, then split as ``transfer``.

    Args:
        obs: the table of cells.
        keys: its columns.
        params: the task's parameters.

    Returns:
        (cells,) "train", "val", "test", or "" for conditions taken away from their state.

    Raises:
        InputError: there is one state only, no numbers of conditions give that balance, or too few pairs are held
            out to draw a val and a test set.
    """
    cells = Cells.from_obs(obs, keys)
    kept = downsample(cells, params)
    chosen = np.array([pair in kept for pair in cells.pairs])[cells.pair_codes]
    return split_transfer_of(obs, chosen, keys, params)


def downsample(cells: Cells, params: ImbalanceParams) -> frozenset[Pair]:
    """Choose which conditions each state keeps; the control always."""
    if params.balance == 1:
        return frozenset(cells.pairs)
    here = {state: cells.conditions_of(state) for state in cells.states}
    counts = find_counts([len(conditions) for conditions in here.values()], params)
    draw = np.random.RandomState(params.sampling_seed)
    kept: set[Pair] = set()
    for (state, conditions), count in zip(here.items(), counts, strict=True):
        shuffled = np.array(conditions, dtype=object)
        draw.shuffle(shuffled)
        kept.update((condition, state) for condition in (*shuffled[:count], cells.keys.control))
    return frozenset(kept)


def find_counts(sizes: Sequence[int], params: ImbalanceParams) -> list[int]:
    """Draw how many conditions each state keeps until the balance is near enough; the first state keeps all.

    Args:
        sizes: how many conditions (the control counted) each state has.
        params: the balance, the tolerance, the bounds and the seed.

    Raises:
        InputError: there is one state only, a state has fewer conditions than it may keep, or no draw is near.
    """
    most = min(sizes)
    if len(sizes) < 2 or most < params.min_conditions:
        raise InputError(
            "No state could keep fewer conditions than another",
            where=f"min_conditions {params.min_conditions}, conditions by state {some(sizes)}",
            fix="Lower min_conditions; two covariate states are needed at least.",
        )
    draw = np.random.RandomState(params.sampling_seed)
    for _ in range(params.max_draws):
        counts = [sizes[0], *draw.randint(params.min_conditions, most + 1, len(sizes) - 1, np.int64).tolist()]
        if abs(balance_of(counts) - params.balance) < params.tolerance:
            return counts
    raise InputError(
        f"No numbers of conditions give a balance of {params.balance} ± {params.tolerance}",
        where=f"{params.max_draws:,} draws; with {params.min_conditions} conditions in all states but the first the "
        f"balance is {balance_of([sizes[0], *[params.min_conditions] * (len(sizes) - 1)]):.3f}",
        fix="Lower min_conditions, raise the tolerance, or ask for another balance.",
    )


def balance_of(counts: Sequence[int]) -> float:
    """The entropy of the shares, divided by the logarithm of their number."""
    shares = np.asarray(counts) / np.sum(counts)
    return float(-(shares * np.log(shares + TINY)).sum() / np.log(len(shares)))
