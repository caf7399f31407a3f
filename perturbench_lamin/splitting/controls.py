"""Control cells dealt out to train, val and test: by shuffling all of them, or covariate state by covariate state."""

from __future__ import annotations

import random
from collections.abc import Sequence

import numpy as np

from perturbench_lamin.errors import InputError
from perturbench_lamin.splitting.cells import Cells, Codes, state_name
from perturbench_lamin.splitting.params import share_of

Deal = dict[str, list[int]]
"""Positions of cells by the part they go to."""


def deal_together(cells: Cells, train_fraction: float, seed: int) -> Deal:
    """Shuffle the positions of all control cells and deal them out; covariate states are not looked at."""
    deck = np.flatnonzero(cells.is_control()).tolist()
    random.Random(seed).shuffle(deck)
    deck.reverse()  # dealt from the end
    first = int(train_fraction * len(deck))
    second = first + (len(deck) - first) // 2
    return {"train": deck[:first], "val": deck[first:second], "test": deck[second:]}


def deal_by_state(cells: Cells, positions: Codes, train_fraction: float, seeds: tuple[int, int]) -> Deal:
    """Deal cells out within each covariate state, so that every state has some in each part.

    Args:
        cells: the table of cells.
        positions: which cells.
        train_fraction: the share that goes to train; val and test halve the rest.
        seeds: of the draw between train and the rest, and of the draw between val and test. They are used anew in
            each state, so that a state's draw does not depend on the other states.

    Returns:
        The positions by part.

    Raises:
        InputError: a state has too few cells to give one to each part.
    """
    dealt: Deal = {"train": [], "val": [], "test": []}
    states = np.array([cells.states.index(state) for _, state in cells.pairs])[cells.pair_codes[positions]]
    for number, state in enumerate(cells.states):
        here = positions[states == number].tolist()
        if not here:
            continue
        n_train = share_of(train_fraction, len(here))
        if n_train < 1 or len(here) - n_train < 2:
            raise InputError(
                f"{len(here)} control cells of {state_name(state)} cannot be dealt out to train, val and test",
                where=f"train_control_fraction {train_fraction}",
                fix="Remove the state, or bring the fraction nearer to 0.5; three cells are enough there.",
            )
        train, rest = draw_apart(here, len(here) - n_train, seeds[0])
        val, test = draw_apart(rest, (len(rest) + 1) // 2, seeds[1])
        for part, drawn in zip(dealt, (train, val, test), strict=True):
            dealt[part].extend(drawn)
    return dealt


def draw_apart(items: Sequence[int], n_second: int, seed: int) -> tuple[list[int], list[int]]:
    """Shuffle items and part them, ``n_second`` going to the second list: scikit-learn's draw for a seed."""
    from sklearn.model_selection import train_test_split  # slow to import, and only drawing needs it

    first, second = train_test_split(list(items), test_size=n_second, random_state=seed)
    return first, second
