"""The differences of two arrays or texts, as every comparison of files counts them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

import numpy as np

RELATIVE, ABSOLUTE = 1e-5, 1e-6
"""Numbers that differ by less are equivalent: another order of summation, on another machine, does that."""
BLOCK = 1 << 22
"""Values compared at a time."""


Difference = tuple[str, float]
"""Where values differ, and by how much; infinite where they are not numbers that are close."""


Names = Mapping[str, str]
"""Uids and hashes in the recorded file → those that stand for them now."""


def values(one: np.ndarray, other: np.ndarray, where: str) -> Iterator[Difference]:
    """Two arrays of one shape: the largest difference, if there is one. Whole numbers and words must be the same."""
    whole = one.dtype.kind in "biu" and other.dtype.kind in "biu"
    numeric = one.dtype.kind in "biufc" and other.dtype.kind in "biufc"
    if not numeric:
        if not np.array_equal(one, other):
            yield where, np.inf
        return
    exact = (one == other) | ((one != one) & (other != other))
    if exact.all():
        return
    if whole or not np.allclose(one, other, rtol=RELATIVE, atol=ABSOLUTE, equal_nan=True):
        yield where, np.inf
        return
    yield where, float(np.nanmax(np.abs(one.astype(float) - other.astype(float))))


def renamed(text: str, names: Names) -> str:
    """A recorded text with the names that stand in it now."""
    if not names:
        return text
    return re.sub("|".join(map(re.escape, names)), lambda found: names[found[0]], text)
