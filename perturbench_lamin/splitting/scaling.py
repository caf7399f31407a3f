"""Data scaling by covariates: more and more covariate states to train on, the same cells to validate and test on."""

from __future__ import annotations

import random
from dataclasses import dataclass

import numpy as np
import pandas as pd

from perturbench_lamin.conditions import ObsKeys
from perturbench_lamin.errors import InputError
from perturbench_lamin.splitting.cells import Cells, Pair, State, state_name
from perturbench_lamin.splitting.controls import Deal, draw_apart
from perturbench_lamin.splitting.named_states import as_states, require_states
from perturbench_lamin.splitting.params import SplitParams, share_of
from perturbench_lamin.splitting.parts import require_parts

SEED_RANGE = 1 << 16


@dataclass(frozen=True, kw_only=True)
class ScalingParams(SplitParams):
    """Parameters of the task ``scaling``.

    Attributes:
        heldout_states: the covariate states that lose conditions, in the order of the draws; see ``manual``.
        train_states: the states that are trained on besides these; none named means all. They have no part in the
            draws: splits that differ in them alone have the same val and test cells, and nested train cells.
        max_heldout_fraction: the share of the table's conditions (the control not counted) that each held-out
            state loses.
        train_control_fraction: the share of a held-out state's control cells in train; other states keep all.
    """

    seed: int = 12345
    heldout_states: tuple[State, ...] = ()
    train_states: tuple[State, ...] = ()
    max_heldout_fraction: float = 0.7

    def __post_init__(self) -> None:
        """Check every value, and turn lists and bare values, as configuration files have them, into tuples.

        Raises:
            InputError: a number is out of bounds, or a state is named twice.
        """
        super().__post_init__()
        for option in ("heldout_states", "train_states"):
            object.__setattr__(self, option, as_states(getattr(self, option), option))
        twice = set(self.heldout_states) & set(self.train_states)
        if twice:
            raise InputError(
                f"{state_name(min(twice))} is among the train_states and the heldout_states",
                where="split parameters",
                fix="Leave it out of train_states: what a held-out state keeps is always trained on.",
            )


def split_scaling(obs: pd.DataFrame, keys: ObsKeys, params: ScalingParams) -> pd.Series:
    """Hold conditions out of the named states; train on what they keep and on the states of this size.

    Args:
        obs: the table of cells.
        keys: its columns.
        params: the task's parameters.

    Returns:
        (cells,) "train", "val", "test", or "" in states that are not trained on.

    Raises:
        InputError: no state is named, a named state has no cells, or too few cells are held out for val and test.
    """
    cells = Cells.from_obs(obs, keys)
    if not params.heldout_states:
        raise InputError("No covariate state is named", where="heldout_states", fix="Name at least one state.")
    require_states(cells, params.heldout_states, "heldout_states")
    require_states(cells, params.train_states, "train_states")
    split_of, controls = _hold_out(cells, params)
    trained = {*params.heldout_states, *(params.train_states or cells.states)}
    split = cells.spread({pair: "" for pair in cells.pairs if pair[1] not in trained} | split_of)
    for part, positions in controls.items():
        split.iloc[positions] = part
    require_parts(
        split[~cells.is_control()],
        where="heldout_states, max_heldout_fraction",
        fix="Name states with more conditions, or change the fraction.",
    )
    return split


def _hold_out(cells: Cells, params: ScalingParams) -> tuple[dict[Pair, str], Deal]:
    """Draw, in each held-out state, conditions of the whole table and control cells; then val among the conditions.

    A condition may be drawn in a state that has no cells of it: the draw is over the table's conditions, so that it
    does not depend on which states have which.
    """
    seeds = np.random.default_rng(params.seed)
    pool = [condition for condition in cells.appearance if condition != cells.keys.control]
    n_held = share_of(params.max_heldout_fraction, len(pool))
    held: list[Pair] = []
    controls: Deal = {"val": [], "test": []}
    for state in params.heldout_states:
        draw = random.Random(_seed(seeds))
        held.extend((condition, state) for condition in draw.sample(pool, n_held))
        for part, positions in zip(controls, _draw_controls(cells, state, draw, seeds, params), strict=True):
            controls[part].extend(positions)
    n_val = share_of(1 - params.test_fraction, len(held))
    val = set(random.Random(_seed(seeds)).sample(held, n_val))
    return {pair: "val" if pair in val else "test" for pair in held}, controls


def _draw_controls(
    cells: Cells, state: State, draw: random.Random, seeds: np.random.Generator, params: ScalingParams
) -> tuple[list[int], list[int]]:
    """A state's control cells for val and for test."""
    here = np.flatnonzero(cells.pair_codes == cells.pairs.index((cells.keys.control, state))).tolist()
    taken = draw.sample(here, share_of(1 - params.train_control_fraction, len(here)))
    seed = _seed(seeds)
    if len(taken) < 2:
        raise InputError(
            f"{len(here)} control cells of {state_name(state)} cannot be dealt out to train, val and test",
            where=f"train_control_fraction {params.train_control_fraction}",
            fix="Name another state, or lower the fraction.",
        )
    return draw_apart(taken, (len(taken) + 1) // 2, seed)


def _seed(seeds: np.random.Generator) -> int:
    return int(seeds.integers(0, SEED_RANGE))
