"""Held-out conditions that no model can predict: their perturbations or covariate values never occur in training."""

from __future__ import annotations

import logging
from collections.abc import Set

import numpy as np
import pandas as pd

from perturbench_lamin.conditions import ObsKeys, check_obs
from perturbench_lamin.contracts import SPLIT_NAMES
from perturbench_lamin.errors import InputError
from perturbench_lamin.splitting.cells import Cells, Codes, Pair
from perturbench_lamin.splitting.summary import cells_by_pair

logger = logging.getLogger(__name__)

HELD_OUT = ("val", "test")


def exclude_unpredictable(
    obs: pd.DataFrame, split: pd.Series, keys: ObsKeys, *, allow_empty: bool = False
) -> tuple[pd.Series, pd.DataFrame]:
    """Exclude val and test cells whose condition has a token, or whose state has a covariate value, unseen in train.

    A model's inputs are the tokens and covariate values of its training cells, so it has no input for others.
    Control cells have no tokens: they are excluded with their state alone.

    Args:
        obs: the table of cells.
        split: (cells,) "train", "val", "test" or "", in the order of ``obs``.
        keys: its columns.
        allow_empty: where no perturbed cell would be left in val or in test, log a warning instead of failing.

    Returns:
        The split with "" for these cells, equal to ``split`` where there are none; and what was excluded, one row a
        condition, covariate state and part: ``condition``, the covariate columns, ``split`` (what it was), ``cells``
        and ``why``.

    Raises:
        InputError: a column is unknown, the table and the split do not have
            the same cells in the same order, no cell is in train, or (unless ``allow_empty``) no perturbed cell would
            be left in val or in test.
    """
    cells = Cells.from_obs(check_obs(obs, keys, controls=False).obs, keys)
    counts = cells_by_pair(cells, split)
    why = _reasons(cells, counts)
    table = _table(cells, counts, why)
    if table.empty:
        return split.copy(), table
    perturbed = np.array([condition != keys.control for condition, _ in cells.pairs])
    known = np.array([not reason for reason in why])
    if empty := _left_empty(counts[perturbed], counts[perturbed & known], table):
        if not allow_empty:
            raise empty
        logger.warning("%s", empty)
    return split.astype(object).where(known[cells.pair_codes], ""), table


def _reasons(cells: Cells, counts: Codes) -> list[str]:
    """(pairs,) why a pair cannot be predicted; empty where it can."""
    trained = [pair for pair, n in zip(cells.pairs, _of_part(counts, "train"), strict=True) if n]
    if not trained:
        raise InputError("No cell is in train", where="split", fix="Give a split with training cells.")
    tokens = {token for condition, _ in trained for token in cells.keys.known_by(condition)}
    values = [{state[place] for _, state in trained} for place in range(len(cells.keys.covariates))]
    return [_why(pair, cells.keys, tokens, values) for pair in cells.pairs]


def _why(pair: Pair, keys: ObsKeys, tokens: Set[str], values: list[set[str]]) -> str:
    condition, state = pair
    unseen = [f"perturbation {token}" for token in keys.known_by(condition) if token not in tokens]
    for column, value, known in zip(keys.covariates, state, values, strict=True):
        if value not in known:
            unseen.append(f"{column} {value}")
    return f"not in train: {', '.join(unseen)}" if unseen else ""


def _table(cells: Cells, counts: Codes, why: list[str]) -> pd.DataFrame:
    rows = [
        (condition, *state, part, n, reason)
        for part in HELD_OUT
        for (condition, state), n, reason in zip(cells.pairs, _of_part(counts, part).tolist(), why, strict=True)
        if reason and n
    ]
    return pd.DataFrame(sorted(rows), columns=_columns(cells.keys))


def nothing_excluded(keys: ObsKeys) -> pd.DataFrame:
    """The table of what is excluded, without a row."""
    return pd.DataFrame(columns=_columns(keys))


def _columns(keys: ObsKeys) -> list[str]:
    return ["condition", *keys.covariates, "split", "cells", "why"]


def _left_empty(before: Codes, after: Codes, table: pd.DataFrame) -> InputError | None:
    """What to say of a part that had perturbed cells and keeps none: nothing is asked for there."""
    for part in HELD_OUT:
        if _of_part(before, part).any() and not _of_part(after, part).any():
            return InputError(
                f"No perturbed cell of {part} can be predicted",
                where=f"split: {len(table):,} conditions, such as {table['condition'].iloc[0]} {table['why'].iloc[0]}",
                fix="Hold out less, draw with another seed, or hold out what training shows elsewhere.",
            )
    return None


def _of_part(counts: Codes, part: str) -> Codes:
    """One column of the counts of cells by pair."""
    return counts[:, SPLIT_NAMES.index(part)]
