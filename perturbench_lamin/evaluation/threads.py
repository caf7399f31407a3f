"""Run a kernel that releases the GIL over ranges of work, on all cores that this process may use."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np


def over_ranges(kernel: Callable[[int, int], None], length: int, weights: np.ndarray | None = None) -> None:
    """Call ``kernel(start, stop)`` on consecutive ranges that together cover ``range(length)``.

    The result must not depend on where the ranges are cut: each item's output is its own.

    Args:
        kernel: works on items ``start`` to ``stop``.
        length: number of items.
        weights: the work of each item, to cut ranges of equal work; equal where None.
    """
    bounds = _bounds(length, weights, cores())
    if len(bounds) <= 2:
        kernel(0, length)
        return
    with ThreadPoolExecutor(len(bounds) - 1) as pool:
        list(pool.map(kernel, bounds[:-1], bounds[1:]))


def cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _bounds(length: int, weights: np.ndarray | None, parts: int) -> list[int]:
    done = np.arange(1, length + 1) if weights is None else np.cumsum(weights)
    if length == 0:
        return [0, 0]
    cuts = np.searchsorted(done, done[-1] * np.arange(1, parts) / parts)
    return sorted({0, length, *(int(cut) for cut in cuts)})
