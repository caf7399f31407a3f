"""The energy statistic between two groups of cells: E‖X−Y‖ − ½E‖X−X′‖ − ½E‖Y−Y′‖.

Euclidean norm, V-statistic (each cell with itself included), factor ½: what PerturBench calls MMD. It is half of
the classical energy distance (Székely & Rizzo 2013) that other tools report.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numba import njit
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from perturbench_lamin.evaluation.device import accelerator
from perturbench_lamin.evaluation.threads import over_ranges

TILE_CELLS = 1024
"""Other cells whose distances to one group are held at a time: they stay in the cache."""

CANCELLED = 1e-6
"""Where ‖x−y‖² is below this share of ‖x‖² + ‖y‖², it is computed from the difference: 0 is then exactly 0."""


def energy(truth: Sequence[np.ndarray], prediction: Sequence[np.ndarray]) -> np.ndarray:
    """Energy statistic of each condition.

    Args:
        truth: per condition, cells × components.
        prediction: the same conditions.

    Returns:
        (conditions,), ≥ 0 up to rounding.
    """
    return _paired_distances(prediction, truth) - _within(prediction) - _within(truth)


def energy_pairs(truth: Sequence[np.ndarray], prediction: Sequence[np.ndarray]) -> np.ndarray:
    """Energy statistic of every prediction i and truth j. E‖X−X′‖ is computed p times, not p²."""
    return mean_distances(prediction, truth) - _within(prediction)[:, None] - _within(truth)[None, :]


def mean_distances(first: Sequence[np.ndarray], second: Sequence[np.ndarray]) -> np.ndarray:
    """Mean Euclidean distance over all pairs of a cell of one group and a cell of another.

    Args:
        first: groups, each cells × components.
        second: groups, each cells × components.

    Returns:
        groups of ``first`` × groups of ``second``.
    """
    if (device := accelerator()) is not None:
        return device.mean_distances(first, second)
    tiles = [_tile(second[part]) for part in _parts(second)]
    return _over_groups(lambda i: np.concatenate([_mean_distances(first[i], tile) for tile in tiles]), first)


def distances_to(groups: Sequence[np.ndarray], control: np.ndarray) -> np.ndarray:
    """Energy distance 2E‖X−C‖ − E‖X−X′‖ − E‖C−C′‖ of each group to the controls: twice the statistic above."""
    return 2.0 * energy_pairs([control], groups)[:, 0]


@dataclass(frozen=True)
class _Tile:
    """Groups of cells: their cells, squared norms, and where each group starts."""

    cells: np.ndarray
    norms: np.ndarray
    starts: np.ndarray


def _tile(groups: Sequence[np.ndarray]) -> _Tile:
    cells = np.concatenate(groups)
    return _Tile(cells, np.sum(cells**2, axis=1), np.cumsum([0, *map(len, groups)]))


def _parts(groups: Sequence[np.ndarray]) -> Iterator[slice]:
    """Runs of groups with at most TILE_CELLS cells together, or of one group."""
    begin = size = 0
    for position, group in enumerate(groups):
        if position > begin and size + len(group) > TILE_CELLS:
            yield slice(begin, position)
            begin, size = position, 0
        size += len(group)
    yield slice(begin, len(groups))


def _mean_distances(cells: np.ndarray, tile: _Tile) -> np.ndarray:
    """Mean distance from some cells to those of each group of a tile: (groups,)."""
    sums = np.zeros(len(tile.starts) - 1)
    for start in range(0, len(cells), TILE_CELLS):
        part = cells[start : start + TILE_CELLS]
        _add_distances(part, tile.cells, part @ tile.cells.T, np.sum(part**2, axis=1), tile.norms, tile.starts, sums)
    return sums / (len(cells) * np.diff(tile.starts))


def _within(groups: Sequence[np.ndarray]) -> np.ndarray:
    """½E‖X−X′‖ of each group."""
    return 0.5 * _paired_distances(groups, groups)


def _paired_distances(first: Sequence[np.ndarray], second: Sequence[np.ndarray]) -> np.ndarray:
    """Mean distance between the cells of group i of both: (groups,)."""
    if (device := accelerator()) is not None:
        return device.paired_distances(first, second)
    return _over_groups(lambda i: _mean_distances(first[i], _tile([second[i]]))[0], first)


def _over_groups(function: Callable[[int], np.ndarray], groups: Sequence[np.ndarray]) -> np.ndarray:
    """``function`` of each group's position, stacked; on all cores.

    BLAS has one thread meanwhile: the cores are shared out by groups, and sums do not depend on how many there are.
    """
    results: list[np.ndarray] = [np.empty(0)] * len(groups)

    def fill(start: int, stop: int) -> None:
        for i in range(start, stop):
            results[i] = function(i)

    with threadpool_limits(1, user_api="blas"):
        over_ranges(fill, len(groups), np.array([len(cells) for cells in groups]))
    return np.array(results)


# `reassoc` lets the compiler take roots in vector lanes; the order of a sum depends on the group's size alone.
@njit(nogil=True, cache=True, fastmath={"reassoc", "contract"})
def _add_distances(cells, others, dots, squares, norms, starts, sums):  # type: ignore[no-untyped-def]
    for i in range(len(cells)):
        for group in range(len(starts) - 1):
            total = 0.0
            cancelled = 0
            for j in range(starts[group], starts[group + 1]):
                scale = squares[i] + norms[j]
                square = scale - 2.0 * dots[i, j]
                cancelled += square <= CANCELLED * scale
                total += np.sqrt(max(square, 0.0))
            if cancelled > 0:
                total = _exact_distances(cells[i], others, dots[i], squares[i], norms, starts[group], starts[group + 1])
            sums[group] += total


@njit(nogil=True, cache=True)
def _exact_distances(cell, others, dots, square_of_cell, norms, first, last):  # type: ignore[no-untyped-def]
    total = 0.0
    for j in range(first, last):
        scale = square_of_cell + norms[j]
        square = scale - 2.0 * dots[j]
        if square <= CANCELLED * scale:
            square = 0.0
            for c in range(len(cell)):
                square += (cell[c] - others[j, c]) ** 2
        total += np.sqrt(square)
    return total
