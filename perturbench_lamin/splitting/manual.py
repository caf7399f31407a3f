"""Named covariate states: the states that lose conditions are chosen by hand, their conditions by draw."""

from __future__ import annotations

import random
from dataclasses import dataclass

import pandas as pd

from perturbench_lamin.conditions import ObsKeys
from perturbench_lamin.errors import InputError
from perturbench_lamin.splitting.cells import Cells, Pair, State
from perturbench_lamin.splitting.holdout import Holdout, assign
from perturbench_lamin.splitting.named_states import as_states, require_states
from perturbench_lamin.splitting.params import SplitParams
from perturbench_lamin.splitting.transfer import draw_seeds


@dataclass(frozen=True, kw_only=True)
class ManualParams(SplitParams):
    """Parameters of the task ``manual``.

    Attributes:
        heldout_states: the covariate states to hold conditions out of, each a tuple of values in the order
            of the covariate columns; with one covariate the bare value will do. Their order matters to the draw.
        max_heldout_fraction: the share of such a state's conditions (the control not counted) held out.
    """

    heldout_states: tuple[State, ...] = ()
    max_heldout_fraction: float = 0.7

    def __post_init__(self) -> None:
        """Check every value, and turn lists and bare values, as configuration files have them, into tuples."""
        super().__post_init__()
        object.__setattr__(self, "heldout_states", as_states(self.heldout_states, "heldout_states"))


def split_manual(obs: pd.DataFrame, keys: ObsKeys, params: ManualParams) -> pd.Series:
    """Hold conditions out of the named covariate states; everything else is train.

    Args:
        obs: the table of cells.
        keys: its columns.
        params: the task's parameters.

    Returns:
        (cells,) "train", "val", "test" or "".

    Raises:
        InputError: no state is named, a named state has no cells, or too few pairs are held out to draw a
            val and a test set.
    """
    cells = Cells.from_obs(obs, keys)
    return assign(cells, hold_out(cells, params), params)


def hold_out(cells: Cells, params: ManualParams) -> Holdout:
    """Draw conditions in each named state, with a seed of its own."""
    if not params.heldout_states:
        raise InputError("No covariate state is named", where="heldout_states", fix="Name at least one state.")
    require_states(cells, params.heldout_states, "heldout_states")
    drawn = draw_seeds(params.seed, len(params.heldout_states))
    seeds = dict(zip(params.heldout_states, drawn, strict=True))
    held: list[Pair] = []
    for state in (state for state in cells.states if state in seeds):
        conditions = [c for c in cells.conditions_of(state) if c != cells.keys.control]
        count = int(params.max_heldout_fraction * len(conditions))
        held.extend((condition, state) for condition in random.Random(seeds[state]).sample(conditions, count))
    return Holdout(tuple(held))
