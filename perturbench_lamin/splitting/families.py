"""Splits of one family beside each other: how much each trains on, and whether they ask for the same cells."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from perturbench_lamin.conditions import ObsKeys, check_obs, covariate_states
from perturbench_lamin.contracts import SPLIT_NAMES
from perturbench_lamin.splitting.imbalance import balance_of


def family_table(obs: pd.DataFrame, keys: ObsKeys, splits: Mapping[str, pd.Series]) -> pd.DataFrame:
    """One row a split, in the order given.

    Args:
        obs: the table of cells.
        keys: its columns.
        splits: task → (cells,) part, in the order of ``obs``.

    Returns:
        Cells in ``train``, ``val`` and ``test``; ``train_states`` and ``train_conditions``; ``balance``, of the
        covariate states' numbers of conditions among the cells that are used (1 is even); ``same_test``, whether
        the test cells are those of the first split. Indexed by task.
    """
    first = next(iter(splits.values()))
    obs = check_obs(obs, keys).obs
    pairs = pd.DataFrame(
        {"condition": obs[keys.perturbation].astype(str), "state": covariate_states(obs, keys.covariates)},
        index=obs.index,
    )
    rows = {
        task: {
            **{part: int((split == part).sum()) for part in SPLIT_NAMES},
            "train_states": int(pairs.loc[(split == "train").to_numpy(), "state"].nunique()),
            "train_conditions": int(pairs.loc[(split == "train").to_numpy(), "condition"].nunique()),
            "balance": _balance(pairs[(split != "").to_numpy()]),
            "same_test": bool(((split == "test") == (first == "test")).all()),
        }
        for task, split in splits.items()
    }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("task")


def family_note(family: pd.DataFrame) -> str:
    """What the tasks differ by beside their names, in a sentence for beneath a figure.

    Args:
        family: from :func:`family_table`.
    """
    few, many = family["train"].min(), family["train"].max()
    trained = f"{few:,} to {many:,} training cells" if few < many else f"{few:,} training cells"
    return f"{trained}; test cells: {'the same' if family['same_test'].all() else 'others in each task'}."


def _balance(used: pd.DataFrame) -> float:
    counts = used.groupby("state")["condition"].nunique().to_list()
    return balance_of(counts) if len(counts) > 1 else 1.0
