"""Which part of every batch each of several processes takes, so that together they have the whole."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Share:
    """One process of several.

    Attributes:
        rank: which one, from 0.
        world: how many.
    """

    rank: int = 0
    world: int = 1

    def part(self, cells: int) -> tuple[slice, float]:
        """This process's slice of a batch, and its weight.

        The mean over all processes of weight × mean over the slice is the mean over the whole batch, as the
        processes' gradients are averaged. A process that would have no cell takes the first, with weight 0:
        all processes take the same steps.
        """
        start, stop = cells * self.rank // self.world, cells * (self.rank + 1) // self.world
        if start == stop:
            return slice(0, 1), 0.0
        return slice(start, stop), (stop - start) * self.world / cells
