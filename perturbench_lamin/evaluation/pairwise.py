"""All pairs of rows: squared differences, absolute differences, products.

By differences, not by ‖x‖² + ‖y‖² − 2x·y: equal rows give exactly 0, and equal inputs equal outputs, so that
ties are ties. A matrix product promises neither. Each pair is summed in the same order wherever it stands.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from numba import njit

from perturbench_lamin.evaluation.device import accelerator
from perturbench_lamin.evaluation.threads import over_ranges


def squared_differences(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Σ_g (a_ig − b_jg)², for every row i of ``a`` and j of ``b``: rows × genes each → rows of a × rows of b."""
    return _all_pairs("squared", a, b)


def absolute_differences(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Σ_g |a_ig − b_jg|, for every row i of ``a`` and j of ``b``."""
    return _all_pairs("absolute", a, b)


def products(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Σ_g a_ig · b_jg, for every row i of ``a`` and j of ``b``."""
    return _all_pairs("product", a, b)


def _all_pairs(term: str, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    if (device := accelerator()) is not None:
        return device.all_pairs(term, a, b)
    kernel = KERNELS[term]
    a, b = (np.ascontiguousarray(rows, dtype=np.float64) for rows in (a, b))
    out = np.empty((len(a), len(b)))
    over_ranges(lambda first, last: kernel(a, b, first, last, out), len(a))
    return out


# `reassoc` lets the compiler sum in vector lanes: another order than left to right, but one and the same for
# every pair. NaN and infinities keep their meaning.
@njit(nogil=True, cache=True, fastmath={"reassoc", "contract"})
def _squared(a, b, first, last, out):  # type: ignore[no-untyped-def]
    for i in range(first, last):
        for j in range(len(b)):
            total = 0.0
            for g in range(a.shape[1]):
                difference = a[i, g] - b[j, g]
                total += difference * difference
            out[i, j] = total


@njit(nogil=True, cache=True, fastmath={"reassoc", "contract"})
def _absolute(a, b, first, last, out):  # type: ignore[no-untyped-def]
    for i in range(first, last):
        for j in range(len(b)):
            total = 0.0
            for g in range(a.shape[1]):
                total += abs(a[i, g] - b[j, g])
            out[i, j] = total


@njit(nogil=True, cache=True, fastmath={"reassoc", "contract"})
def _product(a, b, first, last, out):  # type: ignore[no-untyped-def]
    for i in range(first, last):
        for j in range(len(b)):
            total = 0.0
            for g in range(a.shape[1]):
                total += a[i, g] * b[j, g]
            out[i, j] = total


KERNELS: Mapping[str, Callable[..., None]] = {"squared": _squared, "absolute": _absolute, "product": _product}
