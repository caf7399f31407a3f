"""A checksum of expression that does not depend on where it is held or in which blocks it is read."""

from __future__ import annotations

from typing import Any

import numpy as np

BLOCK = 1 << 16
"""How many values are worked on at once: they stay in the processor's cache."""

MODULUS = 1 << 64


class Checksum:
    """Sums, modulo 2⁶⁴, of the bits of all values and of their products with the gene numbers.

    Whole numbers: the order of the sum does not matter.
    """

    def __init__(self) -> None:
        self._bits = self._products = 0

    def add(self, indices: np.ndarray, data: np.ndarray) -> None:
        """Take in stored values.

        Args:
            indices: their gene numbers.
            data: the values, float32.
        """
        for start in range(0, len(data), BLOCK):
            bits = data[start : start + BLOCK].view(np.uint32).astype(np.uint64)
            self._bits += int(bits.sum())
            bits *= indices[start : start + BLOCK].astype(np.uint64) + np.uint64(1)
            self._products += int(bits.sum())

    @property
    def bits(self) -> int:
        """The sum of the values' bits alone: the same whatever the order of the genes."""
        return self._bits % MODULUS

    @property
    def value(self) -> int:
        """The checksum so far."""
        return (self._bits * 0x9E3779B97F4A7C15 + self._products) % MODULUS


def checksum(X: Any) -> int:
    """The checksum of a CSR matrix of float32, in memory or on disk."""
    if hasattr(X, "checksum"):
        return int(X.checksum)
    whole = Checksum()
    whole.add(X.indices, X.data)
    return whole.value
