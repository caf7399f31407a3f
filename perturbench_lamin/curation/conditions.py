"""Condition names and group sizes, for the notebooks: exact replacements, never parts of words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from perturbench_lamin.errors import InputError, nearest


def replace_exact(values: pd.Series, mapping: Mapping[str, str], *, delimiter: str | None = None) -> pd.Series:
    """Replace whole values, or whole tokens between delimiters.

    Args:
        values: text; missing values stay missing.
        mapping: old to new.
        delimiter: where given, each token between delimiters is replaced (``"NTC,KLF1"``); else whole values only.

    Returns:
        A categorical series with sorted categories.

    Raises:
        InputError: an old value does not occur: a typing error, or the deposit has changed.
    """
    old = pd.Series(pd.unique(values.dropna())).astype(str)
    tokens = {value: value.split(delimiter) if delimiter else [value] for value in old}
    known = {token for parts in tokens.values() for token in parts}
    for name in mapping:
        if name not in known:
            raise InputError(f"No value {name!r} to replace", where=values.name, fix=nearest(name, sorted(known)))
    new = {value: (delimiter or "").join(mapping.get(part, part) for part in parts) for value, parts in tokens.items()}
    replaced = values.astype(object).map(lambda value: new[str(value)], na_action="ignore")
    return pd.Series(
        pd.Categorical(replaced, categories=sorted(set(replaced.dropna()))), index=values.index, name=values.name
    )


def small_groups(obs: pd.DataFrame, columns: Sequence[str], min_cells: int) -> tuple[np.ndarray, pd.DataFrame]:
    """Which cells are in a group of fewer than ``min_cells`` cells.

    Args:
        obs: the table of cells.
        columns: what makes up a group, such as condition, cell type and treatment.
        min_cells: the smallest size to keep.

    Returns:
        (cells,) a mask of the cells in small groups, and the table of these groups: the columns and ``cells``.

    Raises:
        InputError: a column is unknown or has missing values.
    """
    for name in columns:
        if name not in obs:
            raise InputError(f"No column {name!r}", where="obs", fix=nearest(name, obs.columns))
        if obs[name].isna().any():
            raise InputError(f"Column {name!r} has missing values", where="obs", fix="Fill or remove them first.")
    grouped = obs[list(columns)].astype(str).groupby(list(columns), sort=True)
    number = grouped.ngroup().to_numpy()
    sizes = grouped.size().rename("cells").reset_index()
    small = sizes["cells"].to_numpy() < min_cells
    return small[number], sizes[small].reset_index(drop=True)
