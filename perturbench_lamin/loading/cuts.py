"""How an epoch's cells are cut into batches: anywhere, or between sets of one condition and covariate state."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from perturbench_lamin.loading.shares import Share


@dataclass(frozen=True)
class Cut:
    """The cells of one batch.

    Attributes:
        cells: places within the split (cells).
        starts: where each set begins that stays whole (sets), ascending from 0; None where each cell is by itself.
    """

    cells: np.ndarray
    starts: np.ndarray | None = None

    def part(self, share: Share) -> tuple[slice, float]:
        """The slice that one process takes, and what its mean over cells, or over sets, counts."""
        if self.starts is None:
            return share.part(len(self.cells))
        sets, weight = share.part(len(self.starts))
        ends = np.append(self.starts, len(self.cells))
        return slice(int(ends[sets.start]), int(ends[sets.stop])), weight


def even_cuts(order: np.ndarray, batch_size: int) -> list[Cut]:
    """Batches of ``batch_size`` cells in the given order, the last one of what is left."""
    return [Cut(order[start : start + batch_size]) for start in range(0, len(order), batch_size)]


def set_cuts(
    order: np.ndarray, groups: np.ndarray, longest: int, batch_size: int, rng: np.random.Generator | None
) -> list[Cut]:
    """Batches of whole sets, each of cells of one group.

    A group of n cells becomes ⌈n / longest⌉ sets whose sizes differ by one at most: every cell is in one set, none is
    repeated to fill a set, and none left out. Each batch has ⌊batch_size / longest⌋ sets, so that the number of
    batches is the same in every epoch.

    Args:
        order: places of the cells, in the order in which a group's sets are filled (cells).
        groups: each place's group (all places of the split).
        longest: cells of a set at most; never more than ``batch_size``.
        batch_size: cells of a batch at most.
        rng: shuffles the sets; None leaves them group by group.
    """
    longest = min(longest, batch_size)
    codes = groups[order]
    grouped = order[np.argsort(codes, kind="stable")]
    ends = np.cumsum(np.unique(codes, return_counts=True)[1])
    sets = [part for group in np.split(grouped, ends[:-1]) for part in _even_parts(group, longest)]
    if rng is not None:
        sets = [sets[place] for place in rng.permutation(len(sets))]
    step = batch_size // longest
    return [_joined(sets[start : start + step]) for start in range(0, len(sets), step)]


def _even_parts(cells: np.ndarray, longest: int) -> list[np.ndarray]:
    return np.array_split(cells, -(-len(cells) // longest))


def _joined(sets: list[np.ndarray]) -> Cut:
    sizes = [len(cells) for cells in sets]
    return Cut(np.concatenate(sets), np.cumsum([0, *sizes[:-1]]))
