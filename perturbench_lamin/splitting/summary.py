"""What a split holds: cells and conditions by covariate state, the pairs it leaves out, and those it shows twice."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import numpy as np
import pandas as pd

from perturbench_lamin.conditions import ObsKeys, check_obs
from perturbench_lamin.contracts import SPLIT_NAMES
from perturbench_lamin.errors import InputError, some
from perturbench_lamin.splitting.cells import Cells, Codes, Pair, state_name

logger = logging.getLogger(__name__)

EXCLUDED = "excluded"


def split_summary(obs: pd.DataFrame, split: pd.Series, keys: ObsKeys) -> pd.DataFrame:
    """Count cells and conditions per covariate state and split.

    Args:
        obs: the table of cells.
        split: (cells,) "train", "val", "test" or "", in the order of ``obs``.
        keys: its columns.

    Returns:
        One row per covariate state and split (``excluded`` for ""), zeros included, with the covariate columns,
        ``split``, ``cells``, ``control_cells`` and ``conditions`` (the control not counted).

    Raises:
        InputError: a column is unknown, or the table and the split do not have the same cells in the same order.
    """
    cells = Cells.from_obs(check_obs(obs, keys, controls=False).obs, keys)
    counts = cells_by_pair(cells, split)
    controls = np.array([condition == keys.control for condition, _ in cells.pairs])
    state_of_pair = np.array([cells.states.index(state) for _, state in cells.pairs])
    rows = []
    for position, state in enumerate(cells.states):
        here = state_of_pair == position
        for column, part in enumerate((*SPLIT_NAMES, EXCLUDED)):
            conditions = np.count_nonzero(counts[here & ~controls, column])
            rows.append((*state, part, counts[here, column].sum(), counts[here & controls, column].sum(), conditions))
    return pd.DataFrame(rows, columns=[*keys.covariates, "split", "cells", "control_cells", "conditions"])


def excluded_pairs(obs: pd.DataFrame, split: pd.Series, keys: ObsKeys) -> pd.DataFrame:
    """Name the pairs with excluded cells: those downsampled away and those discarded for want of a second one.

    Args:
        obs: the table of cells.
        split: (cells,) "train", "val", "test" or "", in the order of ``obs``.
        keys: its columns.

    Returns:
        One row per covariate state and condition, with the covariate columns, ``condition`` and ``cells``.

    Raises:
        InputError: a column is unknown, or the table and the split do not have the same cells in the same order.
    """
    cells = Cells.from_obs(check_obs(obs, keys, controls=False).obs, keys)
    excluded = cells_by_pair(cells, split)[:, -1].tolist()
    rows = [(*state, condition, n) for (condition, state), n in zip(cells.pairs, excluded, strict=True) if n]
    return pd.DataFrame(sorted(rows), columns=[*keys.covariates, "condition", "cells"])


def seen_in_training(obs: pd.DataFrame, split: pd.Series, keys: ObsKeys, part: str) -> list[Pair]:
    """The conditions of one part that training shows in the same covariate state, the control not counted.

    Args:
        obs: the table of cells.
        split: (cells,) "train", "val", "test" or "", in the order of ``obs``.
        keys: its columns.
        part: ``val`` or ``test``.

    Raises:
        InputError: a column is unknown, or the table and the split do not have the same cells in the same order.
    """
    cells = Cells.from_obs(check_obs(obs, keys, controls=False).obs, keys)
    counts = cells_by_pair(cells, split)
    both = (counts[:, SPLIT_NAMES.index("train")] > 0) & (counts[:, SPLIT_NAMES.index(part)] > 0)
    return [pair for pair, one in zip(cells.pairs, both, strict=True) if one and pair[0] != keys.control]


def tell_seen(obs: pd.DataFrame, split: pd.Series, keys: ObsKeys, parts: Sequence[str] = ("val", "test")) -> None:
    """Log which conditions of these parts training shows, see :func:`seen_in_training`: no prediction is asked for."""
    for part in parts:
        if seen := seen_in_training(obs, split, keys, part):
            logger.warning(
                "%d conditions of %s are in train in the same state: %s. Scores of them say how well they were learnt, "
                "not how well they are predicted: split by conditions, as the verb split does.",
                len({condition for condition, _ in seen}),
                part,
                some(f"{condition} in {state_name(state)}" for condition, state in seen),
            )


def cells_by_pair(cells: Cells, split: pd.Series) -> Codes:
    """Count the cells of each (condition, covariate state) pair.

    Args:
        cells: the table of cells.
        split: (cells,) "train", "val", "test" or "", in the order of the table.

    Returns:
        (pairs, 4) how many cells are in train, in val, in test and in none.

    Raises:
        InputError: the table and the split do not have the same cells in the same order, or a value is unknown.
    """
    if not split.index.equals(cells.names):
        raise InputError(
            "The split and the table do not have the same cells in the same order",
            where="split",
            fix="Read the split with read_split(path, obs.index).",
        )
    parts = pd.Categorical(split, categories=[*SPLIT_NAMES, ""]).codes
    if (parts < 0).any():
        raise InputError(f"Unknown split {split[parts < 0].iloc[0]!r}", where="split", fix="Read it with read_split.")
    width = len(SPLIT_NAMES) + 1
    joint = cells.pair_codes * width + parts
    return np.bincount(joint, minlength=len(cells.pairs) * width).reshape(-1, width).astype(np.int64)
