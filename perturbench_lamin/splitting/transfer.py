"""Covariate transfer: a condition is seen in some covariate states and predicted in others."""

from __future__ import annotations

import logging
import random
from collections import Counter
from dataclasses import dataclass

import numpy as np
import pandas as pd

from perturbench_lamin.conditions import ObsKeys
from perturbench_lamin.errors import InputError, many, some
from perturbench_lamin.splitting.cells import Cells, Mask, Pair, State
from perturbench_lamin.splitting.holdout import Holdout, assign
from perturbench_lamin.splitting.params import SplitParams

logger = logging.getLogger(__name__)

SEED_RANGE = 100_000


@dataclass(frozen=True, kw_only=True)
class TransferParams(SplitParams):
    """Parameters of the task ``transfer``.

    Attributes:
        max_heldout_covariates: from how many states a condition that is in all of them may be held out.
        min_train_covariates: conditions in no more states than this are never held out.
        max_heldout_fraction: no further condition is held out from a state that has lost this share of its
            conditions (the control counted).
        max_heldout_perturbations: nor from one that has lost this many.
        downsample_fraction: the share of conditions kept; the cells of the others are excluded.
    """

    max_heldout_fraction: float = 0.3
    max_heldout_covariates: int = 2
    min_train_covariates: int = 1
    max_heldout_perturbations: int = 200
    downsample_fraction: float = 1.0


def split_transfer(obs: pd.DataFrame, keys: ObsKeys, params: TransferParams) -> pd.Series:
    """Hold conditions out of some covariate states and leave them in the others.

    Conditions are taken in sorted order, those in more states first; the states of each in the order in which its
    cells first name them.

    Args:
        obs: the table of cells.
        keys: its columns.
        params: the task's parameters.

    Returns:
        (cells,) "train", "val", "test" or "".

    Raises:
        InputError: no condition is in enough states to be held out of one, or too few pairs are held out to draw a
            val and a test set.
    """
    cells = Cells.from_obs(obs, keys)
    return assign(cells, hold_out(cells, params), params)


def split_transfer_of(obs: pd.DataFrame, chosen: Mask, keys: ObsKeys, params: TransferParams) -> pd.Series:
    """Make the split of some of the cells, as if there were no others; those get ""."""
    cells = obs.loc[chosen, [keys.perturbation, *keys.covariates]]
    return split_transfer(cells, keys, params).reindex(obs.index, fill_value="")


def hold_out(cells: Cells, params: TransferParams) -> Holdout:
    """Draw which pairs are held out, one condition after another."""
    states_of = cells.states_of()
    widest_first = sorted(states_of, key=lambda condition: -len(states_of[condition]))
    kept = _downsample(widest_first, params)
    _require_wide(cells, [condition for condition in kept if condition != cells.keys.control], params)
    caps = _caps(cells, params)
    seeds = draw_seeds(params.seed, len(kept))
    held: list[Pair] = []
    lost: Counter[State] = Counter()
    for condition, seed in zip(kept, seeds, strict=True):
        if len(states_of[condition]) <= params.min_train_covariates:
            continue
        pool = [state for state in states_of[condition] if lost[state] < caps[state]]
        drawn = _draw_states(pool, len(cells.states), params.max_heldout_covariates, seed)
        lost.update(drawn)
        held.extend((condition, state) for state in drawn)
    _report_unseen(held, states_of, params)
    return Holdout(tuple(held), frozenset(states_of) - frozenset(kept))


def _require_wide(cells: Cells, conditions: list[str], params: TransferParams) -> None:
    """No other parameter helps where every condition is in too few states to be held out of one."""
    states_of = cells.states_of()
    if any(len(states_of[condition]) > params.min_train_covariates for condition in conditions):
        return
    raise InputError(
        f"No condition is in more than {many(params.min_train_covariates, 'covariate state')}: "
        "none can be held out of one and stay in train",
        where=f"{many(len(conditions), 'condition')}, {many(len(cells.states), 'covariate state')}",
        fix="Name a covariate in whose values conditions recur"
        + (", lower min_train_covariates" if params.min_train_covariates > 1 else "")
        + ", or take another task: unseen holds conditions out of all states.",
    )


def draw_seeds(seed: int, count: int) -> list[int]:
    """A seed for each of ``count`` draws, from the legacy NumPy stream that the published splits were drawn with."""
    return np.random.RandomState(seed).randint(0, SEED_RANGE, count, dtype=np.int64).tolist()


def _downsample(conditions: list[str], params: TransferParams) -> list[str]:
    """Keep a share of the conditions, in the order in which they came."""
    if params.downsample_fraction == 1:
        return conditions
    count = int(params.downsample_fraction * len(conditions))
    kept = set(random.Random(params.seed).sample(conditions, count))
    return [condition for condition in conditions if condition in kept]


def _caps(cells: Cells, params: TransferParams) -> dict[State, float]:
    """How many conditions each state may lose; real-valued, so that a cap of 56.7 admits 57."""
    sizes = Counter(state for _, state in cells.pairs)
    return {
        state: min(params.max_heldout_fraction * size, params.max_heldout_perturbations)
        for state, size in sizes.items()
    }


def _draw_states(pool: list[State], n_states: int, max_heldout: int, seed: int) -> list[State]:
    """Draw at least one state of the pool, and at most ``max_heldout`` less those of the data that it lacks."""
    if not pool:
        return []
    draw = random.Random(seed)
    count = draw.randint(1, max(len(pool) - n_states + max_heldout, 1))
    if count > len(pool):
        raise InputError(
            f"max_heldout_covariates is {max_heldout}, but there are only {n_states} covariate states",
            where="split parameters",
            fix=f"Give at most {max(n_states - 1, 1)}, so that every condition stays in train somewhere.",
        )
    return draw.sample(pool, count)


def _report_unseen(held: list[Pair], states_of: dict[str, list[State]], params: TransferParams) -> None:
    """Say which held-out conditions are left in fewer train states than ``min_train_covariates``.

    The published rule compares that number with all the states of a condition rather than with those left.
    """
    lost = Counter(condition for condition, _ in held)
    short = [name for name in lost if len(states_of[name]) - lost[name] < params.min_train_covariates]
    if short:
        logger.warning(
            "%d held-out conditions are left in fewer than %d train states: %s. Lower max_heldout_covariates to at "
            "most the number of covariate states less min_train_covariates.",
            len(short),
            params.min_train_covariates,
            some(short),
        )
