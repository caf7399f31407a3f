"""The words every room shares: which obs columns hold conditions and covariates, and what a condition is made of.

A *condition* is what was done to a cell: ``control``, one perturbation, or several joined by a delimiter.
A *token* is one perturbation of a condition. A *covariate state* is the tuple of a cell's covariate values,
always kept as a tuple: joining the values into one string would confuse ``("a_b", "c")`` with ``("a", "b_c")``.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from perturbench_lamin.errors import InputError, nearest, some

BRACKETS = {")": "(", "]": "[", "}": "{"}


@dataclass(frozen=True)
class ObsKeys:
    """Which obs columns and values describe a cell.

    Attributes:
        perturbation: the column of conditions.
        covariates: the columns whose values make up a covariate state; may be empty.
        control: the value of ``perturbation`` that marks control cells.
        delimiter: what joins the tokens of a combination; None where no condition is a combination.
    """

    perturbation: str = "condition"
    covariates: tuple[str, ...] = ("cell_type",)
    control: str = "control"
    delimiter: str | None = "+"

    def tokens(self, condition: str) -> tuple[str, ...]:
        """The tokens of a condition, in order; empty for the control.

        A token equal to the control value is left out (``"KLF1+control"`` has one token).

        Raises:
            InputError: a token is empty, or the delimiter stands inside brackets: it belongs to a name
                such as ``(+)-JQ1`` or a SMILES string, and splitting there would invent perturbations.
        """
        if condition == self.control:
            return ()
        if not self.delimiter or self.delimiter not in condition:
            return (condition,)
        parts = condition.split(self.delimiter)
        if not all(part.strip() and _balanced(part) for part in parts):
            raise InputError(
                f"The condition {condition!r} contains the delimiter {self.delimiter!r} as part of a name",
                where=f"column {self.perturbation}",
                fix="Name another delimiter, or none where no condition is a combination; or rename the condition.",
            )
        return tuple(part for part in parts if part != self.control)

    def is_combination(self, condition: str) -> bool:
        """Whether a condition has more than one token."""
        return len(self.tokens(condition)) > 1


def token_table(conditions: Iterable[str], keys: ObsKeys) -> pd.DataFrame:
    """The table ``condition, position, token``, sorted by condition: what a delimiter cannot say safely."""
    rows = [
        (condition, position, token)
        for condition in sorted(set(conditions))
        for position, token in enumerate(keys.tokens(condition))
    ]
    return pd.DataFrame(rows, columns=["condition", "position", "token"]).astype({"position": "int64"})


def covariate_states(obs: pd.DataFrame, covariates: Sequence[str]) -> pd.Series:
    """Each cell's covariate state, a tuple of strings (the empty tuple where there are no covariates)."""
    columns = [obs[name].astype(str) for name in covariates]
    states = list(zip(*columns, strict=True)) if columns else [()] * len(obs)
    return pd.Series(states, index=obs.index, dtype=object)


def require_obs(obs: pd.DataFrame, keys: ObsKeys, *, where: object = "obs", controls: bool = True) -> None:
    """Check a table of cells at the boundary, so that the inside can trust it.

    Raises:
        InputError: a column is unknown or has missing or blank values, a cell name occurs twice, or (with
            ``controls``) no cell has the control value.
    """
    for column in (keys.perturbation, *keys.covariates):
        if column not in obs.columns:
            raise InputError(f"No column {column!r}", where=where, fix=nearest(column, obs.columns))
        bare = _without_value(obs[column])
        if bare.any():
            raise InputError(
                f"Column {column!r} has no value in {int(bare.sum()):,} cells",
                where=where,
                fix=f"First such cell: {obs.index[bare][0]}. Fill or remove them.",
            )
    if not obs.index.is_unique:
        twice = obs.index[obs.index.duplicated()].unique()
        raise InputError(
            f"{len(twice):,} cell names occur more than once", where=where, fix=f"Make them unique: {some(twice, 3)}."
        )
    if controls and not (obs[keys.perturbation].astype(str) == keys.control).any():
        raise InputError(
            f"No cell has the control value {keys.control!r} in column {keys.perturbation!r}",
            where=where,
            fix=nearest(keys.control, obs[keys.perturbation].astype(str).unique()),
        )


def _without_value(column: pd.Series) -> np.ndarray:
    """Where a value is missing, or text without a visible character."""
    codes, values = pd.factorize(column)
    blank = np.array([isinstance(value, str) and not value.strip() for value in values] + [True], dtype=bool)
    return blank[codes]  # the last one is for -1, a missing value


def require_controls_per_state(obs: pd.DataFrame, keys: ObsKeys, *, where: object = "obs") -> None:
    """Check that every covariate state with perturbed cells has control cells too.

    Raises:
        InputError: some states have none; the message names them.
    """
    states = covariate_states(obs, keys.covariates)
    is_control = (obs[keys.perturbation].astype(str) == keys.control).to_numpy()
    bare = sorted(set(states[~is_control]) - set(states[is_control]))
    if bare:
        raise InputError(
            f"No control cells in {len(bare):,} covariate states",
            where=f"{where}, columns {', '.join(keys.covariates)}",
            fix=f"Add controls or remove these states: {some('/'.join(state) for state in bare)}.",
        )


def _balanced(text: str) -> bool:
    depth: list[str] = []
    for character in text:
        if character in BRACKETS.values():
            depth.append(character)
        elif character in BRACKETS and (not depth or depth.pop() != BRACKETS[character]):
            return False
    return not depth
