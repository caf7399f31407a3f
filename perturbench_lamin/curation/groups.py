"""Which cells belong together: covariate states, and one group for each condition inside a state."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from perturbench_lamin.conditions import ObsKeys, require_controls_per_state, require_obs
from perturbench_lamin.errors import InputError, some


@dataclass(frozen=True)
class CellGroups:
    """Cells by covariate state and condition; groups are sorted by state, then condition.

    Attributes:
        states: the covariate states, sorted.
        state_of_cell: each cell's state number; -1 for a cell that gene selection must not look at.
        group_of_cell: each cell's group number; -1 likewise.
        group_state: each group's state number.
        group_condition: each group's condition.
        group_cells: each group's number of cells.
        control_group: each state's group of control cells; -1 for a state without perturbed cells and controls.
    """

    states: list[tuple[str, ...]]
    state_of_cell: np.ndarray
    group_of_cell: np.ndarray
    group_state: np.ndarray
    group_condition: np.ndarray
    group_cells: np.ndarray
    control_group: np.ndarray

    @property
    def state_cells(self) -> np.ndarray:
        """Each state's number of cells."""
        return np.bincount(self.group_state, weights=self.group_cells, minlength=len(self.states)).astype(np.int64)

    def name(self, group: int) -> str:
        """The group's state and condition, for messages."""
        return " / ".join([*self.states[self.group_state[group]], str(self.group_condition[group])])


def cell_groups(obs: pd.DataFrame, keys: ObsKeys, selection: np.ndarray | None = None) -> CellGroups:
    """Group the cells.

    Args:
        obs: the table of cells.
        keys: its columns.
        selection: a boolean mask of the cells that gene selection may look at; None for all.

    Raises:
        InputError: a column is missing or has gaps, or a state with perturbed cells has no, or one, control cell.
    """
    require_obs(obs, keys)
    looked_at = _selected(selection, len(obs))
    columns = list(dict.fromkeys([*keys.covariates, keys.perturbation]))
    table = pd.DataFrame({name: obs[name].astype(str) for name in columns})
    chosen = table[looked_at] if looked_at is not None else table
    require_controls_per_state(chosen.drop_duplicates(), keys)
    codes, groups = _numbered(chosen, columns)
    rows = [tuple(map(str, row)) for row in groups[list(keys.covariates)].to_numpy()]
    states: list[tuple[str, ...]] = sorted(set(rows))
    number = {state: i for i, state in enumerate(states)}
    group_state = np.array([number[row] for row in rows], dtype=np.int32)
    group_of_cell = np.full(len(obs), -1, dtype=np.int32)
    group_of_cell[looked_at if looked_at is not None else slice(None)] = codes
    conditions = groups[keys.perturbation].to_numpy(dtype=object)
    control = np.full(len(states), -1, dtype=np.int64)
    control[group_state[conditions == keys.control]] = np.flatnonzero(conditions == keys.control)
    state_of_cell = np.where(group_of_cell >= 0, group_state[group_of_cell], -1).astype(np.int32)
    cells = np.bincount(codes, minlength=len(groups))
    result = CellGroups(states, state_of_cell, group_of_cell, group_state, conditions, cells, control)
    _require_two_controls(result)
    return result


def _selected(selection: np.ndarray | None, n_cells: int) -> np.ndarray | None:
    if selection is None:
        return None
    mask = np.asarray(selection)
    if mask.dtype != bool or mask.shape != (n_cells,):
        raise InputError(f"The selection of cells must be a boolean mask of {n_cells:,} cells", where="selection")
    return mask


def _numbered(table: pd.DataFrame, columns: list[str]) -> tuple[np.ndarray, pd.DataFrame]:
    """Each row's number in the sorted table of distinct rows, and that table."""
    code = np.zeros(len(table), dtype=np.int64)
    for name in columns:
        values, distinct = pd.factorize(table[name], sort=True)
        code = code * len(distinct) + values
        code = np.unique(code, return_inverse=True)[1]  # keeps the product of sizes from overflowing
    first = np.unique(code, return_index=True)[1]
    return code.astype(np.int32), table.iloc[first].reset_index(drop=True)


def _require_two_controls(groups: CellGroups) -> None:
    counts = np.where(groups.control_group >= 0, groups.group_cells[groups.control_group], 0)
    perturbed = np.bincount(groups.group_state, minlength=len(groups.states)) > (groups.control_group >= 0)
    lonely = [groups.states[i] for i in np.flatnonzero(perturbed & (counts < 2))]
    if lonely:
        raise InputError(
            f"{len(lonely):,} covariate states have a single control cell: no variance to test against",
            where="obs",
            fix=f"Add controls or remove these states: {some('/'.join(state) or '(all cells)' for state in lonely)}.",
        )
