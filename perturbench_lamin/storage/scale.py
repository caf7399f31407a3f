"""The scale of expression values: whether a matrix can be log1p of normalised counts."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import sparse

from perturbench_lamin.errors import InputError

LOG_LIMIT = 20.0
"""No log1p expression is above it: exp(20) is half a billion."""

ROUNDING = 1e-6
"""Relative: counts that went through arithmetic are whole but for rounding, logarithms never all are."""

PIECE = 1 << 16
"""Values that are tested for being whole at a time: of logarithms the first few say enough."""


class ScaleWatch:
    """Sees the blocks of a matrix go by and remembers the scale of their values."""

    def __init__(self) -> None:
        self.highest = 0.0
        self.integers = True

    def see(self, block: Any) -> None:
        """Look at a block, sparse or dense."""
        values = block.data if sparse.issparse(block) else block.ravel()
        if values.size:
            self.highest = max(self.highest, float(values.max()))
            self.integers = self.integers and _are_whole(values)

    @property
    def is_counts(self) -> bool:
        """Whether the values are counts: all whole, however low. log1p of a count is a whole number for 0 alone."""
        return self.integers and self.highest > ROUNDING

    @property
    def is_unlogged(self) -> bool:
        """Whether some value is too high for log1p expression."""
        return self.highest > LOG_LIMIT

    def require_log1p(self, where: object, *, counts_only: bool = False) -> None:
        """Raise InputError where the values are counts or (unless ``counts_only``) otherwise too high."""
        if self.is_counts or (self.is_unlogged and not counts_only):
            kind = "integer counts" if self.is_counts else "not logarithms"
            raise InputError(
                f"X must be log1p expression, but its values look like {kind} (highest: {self.highest:,.6g})",
                where=where,
                fix="Put log1p of the normalised counts into X, on the same scale for truth and prediction.",
            )


def _are_whole(values: np.ndarray) -> bool:
    pieces = (values[start : start + PIECE] for start in range(0, values.size, PIECE))
    with np.errstate(invalid="ignore"):  # what is not finite is no whole number, and refused elsewhere
        return all(bool(np.all(np.abs(piece - np.rint(piece)) <= ROUNDING * np.maximum(piece, 1))) for piece in pieces)
