"""What every task that draws at random can be told, with PerturBench's published defaults."""

from __future__ import annotations

import operator
from dataclasses import dataclass, fields
from numbers import Real
from typing import Any

from perturbench_lamin.errors import InputError

SEEDS = (0, 2**32 - 1)
ROUNDING = 1e-9
"""Keeps a share such as (1 - 0.9) x 10, which is 0.9999999999999998, from losing one."""

LEAST_COUNT = {"max_heldout_covariates": 1, "min_conditions": 1}
"""Counts that must be more than nothing."""


@dataclass(frozen=True, kw_only=True)
class SplitParams:
    """Parameters that all tasks share; a task's own class adds to them. Field names are option names.

    Attributes:
        seed: seeds every draw.
        train_control_fraction: the share of control cells in train; val and test halve the rest.
        test_fraction: the share of held-out pairs that become test; the rest become val.
    """

    seed: int = 54
    train_control_fraction: float = 0.5
    test_fraction: float = 0.5

    def __post_init__(self) -> None:
        """Check every number, so that a wrong option fails before any work.

        Raises:
            InputError: a fraction is not within its bounds, or a count or seed is not a whole number.
        """
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(field.default, int):
                object.__setattr__(self, field.name, _whole(field.name, value))
            elif isinstance(field.default, float):
                object.__setattr__(self, field.name, _fraction(field.name, value))


def share_of(fraction: float, count: int) -> int:
    """How many of ``count`` things a fraction is, rounded down."""
    return int(fraction * count + ROUNDING)


def _fraction(name: str, value: Any) -> float:
    inside = name == "test_fraction"
    number = -1.0 if isinstance(value, bool) or not isinstance(value, Real) else float(value)
    if 0 < number < 1 or (not inside and number in (0, 1)):
        return number
    bounds = "between 0 and 1, both excluded" if inside else "from 0 to 1"
    raise InputError(f"{name} is {value!r}", where="split parameters", fix=f"Give a number {bounds}.")


def _whole(name: str, value: Any) -> int:
    least, most = SEEDS if name.endswith("seed") else (LEAST_COUNT.get(name, 0), None)
    try:
        number = operator.index(value)
    except TypeError:
        number = least - 1
    if isinstance(value, bool) or number < least or (most is not None and number > most):
        bounds = f"of at least {least}" if most is None else f"from {least} to {most}"
        raise InputError(f"{name} is {value!r}", where="split parameters", fix=f"Give a whole number {bounds}.")
    return number
