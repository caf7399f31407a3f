"""Sets of cells of one condition and covariate state, as models of populations take them."""

from __future__ import annotations

import torch
from torch import Tensor

from perturbench_lamin.loading.batches import Batch


def cell_sets(batch: Batch, longest: int) -> list[Tensor]:
    """Cut a batch into sets of cells with the same perturbations and covariates.

    A group of n cells becomes ⌈n / longest⌉ sets, whose sizes differ by one at most, in the order of the batch.
    Every cell is in one set: none is repeated to fill a set, and none left out.

    Args:
        batch: the cells.
        longest: cells of a set at most.

    Returns:
        places in the batch, one tensor (sets × cells of a set, int64) for each size of set, by rising size.
    """
    _, group = torch.unique(torch.cat([batch.perturbations, batch.covariates], dim=1), dim=0, return_inverse=True)
    order, ends = torch.argsort(group, stable=True), torch.bincount(group).cumsum(0)
    by_size: dict[int, list[Tensor]] = {}
    for places in order.tensor_split(ends[:-1].tolist()):
        for part in places.tensor_split(-(-len(places) // longest)):
            by_size.setdefault(len(part), []).append(part)
    return [torch.stack(by_size[size]) for size in sorted(by_size)]
