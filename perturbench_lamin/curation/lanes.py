"""Threads over the rows of a chunk, and reading ahead.

Compiled kernels release the GIL, so that plain threads keep every core busy; numba's own threading layers
are not used, because they neither survive a fork nor two callers at once.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import numpy as np

T = TypeVar("T")
R = TypeVar("R")


def default_threads() -> int:
    """The number of processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def run_lanes(work: Callable[[int, np.ndarray], R], lanes: Sequence[np.ndarray]) -> list[R]:
    """Call ``work(lane number, rows)`` for every lane at once, and return the results in lane order."""
    if len(lanes) == 1:
        return [work(0, lanes[0])]
    with ThreadPoolExecutor(len(lanes)) as pool:
        return list(pool.map(work, range(len(lanes)), lanes))


def split_rows(rows: np.ndarray, weights: np.ndarray, lanes: int, keys: np.ndarray | None = None) -> list[np.ndarray]:
    """Cut ``rows`` into at most ``lanes`` pieces of about equal weight.

    Args:
        rows: row numbers, in the order to work through.
        weights: each row's work, in the same order.
        lanes: how many pieces.
        keys: where given, rows with neighbouring equal keys stay in one piece.
    """
    if lanes == 1 or len(rows) < 2:
        return [rows]
    work = np.cumsum(weights, dtype=np.float64)
    cuts = np.searchsorted(work, work[-1] * np.arange(1, lanes) / lanes)
    if keys is not None:
        starts = np.concatenate([[0], np.flatnonzero(np.diff(keys)) + 1, [len(rows)]])
        cuts = starts[np.searchsorted(starts, cuts)]
    return [piece for piece in np.split(rows, np.unique(cuts)) if len(piece)]


def read_ahead(items: Iterable[T]) -> Iterator[T]:
    """The items, with the next one being made in a thread while the caller works on this one."""
    iterator = iter(items)
    done = object()
    with ThreadPoolExecutor(1) as pool:
        coming = pool.submit(next, iterator, done)
        while (item := coming.result()) is not done:
            coming = pool.submit(next, iterator, done)
            yield item  # type: ignore[misc]
