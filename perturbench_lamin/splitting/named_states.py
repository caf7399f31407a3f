"""Covariate states named by hand, in parameters and configuration files."""

from __future__ import annotations

from typing import Any

from perturbench_lamin.errors import InputError, nearest
from perturbench_lamin.splitting.cells import Cells, State, state_name


def as_states(values: Any, option: str) -> tuple[State, ...]:
    """Turn lists and bare values, as configuration files have them, into tuples.

    Args:
        values: states, each a tuple or list of values in the order of the covariate columns; with one covariate
            the bare value will do, and a single bare value is one state.
        option: the parameter's name, for messages.

    Raises:
        InputError: a state is named twice.
    """
    listed = (values,) if isinstance(values, str) else values
    states = tuple((value,) if isinstance(value, str) else tuple(map(str, value)) for value in listed)
    if len(set(states)) < len(states):
        raise InputError(f"{option} names a state twice", where="split parameters", fix="Name each once.")
    return states


def require_states(cells: Cells, states: tuple[State, ...], option: str) -> None:
    """Check that the table has cells of every named state.

    Raises:
        InputError: it has none of some state; the message names those most like it.
    """
    for state in states:
        if state not in cells.states:
            raise InputError(
                f"No cell has the covariate state {state_name(state)!r}",
                where=f"{option}, columns {', '.join(cells.keys.covariates)}",
                fix=nearest(state_name(state), map(state_name, cells.states)),
            )
