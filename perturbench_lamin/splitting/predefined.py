"""The depositors' own split: read from a column, with the control cells dealt out where they left them unassigned."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from perturbench_lamin.conditions import ObsKeys
from perturbench_lamin.contracts import SPLIT_NAMES
from perturbench_lamin.errors import InputError, nearest, some
from perturbench_lamin.splitting.cells import Cells, Codes, state_name
from perturbench_lamin.splitting.controls import deal_by_state
from perturbench_lamin.splitting.params import SplitParams
from perturbench_lamin.splitting.parts import require_parts

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class PredefinedParams(SplitParams):
    """Parameters of the task ``predefined``.

    Attributes:
        column: the obs column of the depositors' assignment.
        names: what its values mean: train, val, test, or "" for excluded.
        unassigned: the value of cells that the depositors assigned to nothing: control cells among them are dealt
            out, each state's apart, and others (positive controls) are trained on.
        min_cells: a condition in a covariate state with fewer cells in val or test is excluded there.
        val_test_seed: seeds the draw of control cells between val and test; ``seed`` that between train and these.
    """

    seed: int = 11
    column: str = "split"
    names: Mapping[str, str] = field(default_factory=lambda: {name: name for name in SPLIT_NAMES})
    unassigned: str = "control"
    min_cells: int = 0
    val_test_seed: int = 21

    def __post_init__(self) -> None:
        """Check every value.

        Raises:
            InputError: a number is out of bounds, or a name stands for an unknown part.
        """
        super().__post_init__()
        for value, part in self.names.items():
            if part not in (*SPLIT_NAMES, ""):
                raise InputError(
                    f"names has {part!r} for {value!r}", where="split parameters", fix=nearest(part, SPLIT_NAMES)
                )


def split_predefined(obs: pd.DataFrame, keys: ObsKeys, params: PredefinedParams) -> pd.Series:
    """Take over the depositors' split.

    Args:
        obs: the table of cells.
        keys: its columns.
        params: the task's parameters.

    Returns:
        (cells,) "train", "val", "test" or "".

    Raises:
        InputError: there is no such column, it has missing or unknown values, a state has too few unassigned
            control cells, or a part has no perturbed cells.
    """
    cells = Cells.from_obs(obs, keys)
    assigned = _assigned(obs, params)
    split = assigned.map({params.unassigned: "train", **params.names}).astype(object).rename("split")
    _exclude_small(cells, split, params.min_cells)
    require_parts(
        split[~cells.is_control()],
        where=f"column {params.column}, min_cells {params.min_cells}",
        fix="Give the meaning of the column's values in names, or lower min_cells.",
    )
    controls = np.flatnonzero(cells.is_control() & (assigned == params.unassigned).to_numpy())
    seeds = (params.seed, params.val_test_seed)
    for part, positions in deal_by_state(cells, controls, params.train_control_fraction, seeds).items():
        split.iloc[positions] = part
    return split


def _assigned(obs: pd.DataFrame, params: PredefinedParams) -> pd.Series:
    """(cells,) the column as text, each value known."""
    if params.column not in obs.columns:
        raise InputError(f"No column {params.column!r}", where="obs", fix=nearest(params.column, obs.columns))
    column = obs[params.column]
    if column.isna().any():
        raise InputError(
            f"Column {params.column!r} has no value in {int(column.isna().sum()):,} cells",
            where="obs",
            fix="Fill them with a value of their own, and give its meaning in names.",
        )
    assigned = column.astype(str)
    unknown = sorted(set(assigned) - {params.unassigned, *params.names})
    if unknown:
        raise InputError(
            f"Unknown values: {some(unknown)}",
            where=f"column {params.column}",
            fix=f"{nearest(unknown[0], [params.unassigned, *params.names])} Or give their meaning in names.",
        )
    return assigned


def _exclude_small(cells: Cells, split: pd.Series, min_cells: int) -> None:
    """Exclude, in place, the conditions of a state with too few cells in val or in test; control cells stay."""
    small: list[str] = []
    for part in ("val", "test"):
        inside = ((split == part) & ~cells.is_control()).to_numpy()
        counts = np.bincount(cells.pair_codes[inside], minlength=len(cells.pairs))
        few = (counts > 0) & (counts < min_cells)
        split.iloc[np.flatnonzero(inside & few[cells.pair_codes])] = ""
        small.extend(_named(cells, np.flatnonzero(few)))
    if small:
        logger.warning("Excluded, with fewer than %d cells in val or test: %s", min_cells, some(small))


def _named(cells: Cells, pairs: Codes) -> list[str]:
    return [f"{cells.pairs[place][0]} in {state_name(cells.pairs[place][1])}" for place in pairs.tolist()]
