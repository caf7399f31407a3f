"""The distinct inputs of a batch: a network whose input is a condition or a state sees few."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn


def distinct_inputs(codes: Sequence[tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
    """The distinct rows of codes side by side, and which of them each cell has.

    Args:
        codes: pairs of ids (cells, int64) and what they encode (cells × width); equal ids encode the same. An id
            of -1 stands for anything that training lacks: the rows themselves are then compared.

    Returns:
        The distinct rows (rows × total width), and each cell's place among them (cells).
    """
    rows = torch.cat([values for _, values in codes], dim=1)
    ids = torch.stack([numbers for numbers, _ in codes])
    if not len(rows):
        return rows, ids[0]
    if bool((ids < 0).any()):
        place = torch.unique(rows.detach(), dim=0, return_inverse=True)[1]
    else:
        pairs = ids[0]
        for more in ids[1:]:
            pairs = pairs * (more.max() + 1) + more
        place = torch.unique(pairs, return_inverse=True)[1]
    first = torch.full_like(place, len(place))
    first.scatter_reduce_(0, place, torch.arange(len(place), device=place.device), "amin")
    return rows[first[: int(place.max()) + 1]], place


def run_distinct(network: nn.Sequential, codes: Sequence[tuple[Tensor, Tensor]]) -> Tensor:
    """The output of a network for every cell, computed once for each distinct input as far as that is the same.

    Up to the first dropout that is on: from there each cell draws its own, as if the network had seen every cell.

    Args:
        network: layers that treat each row by itself.
        codes: the network's input, see :func:`distinct_inputs`.
    """
    hidden, place = distinct_inputs(codes)
    layers = list(network)
    drawn = [number for number, layer in enumerate(layers) if _drops(layer)]
    shared = drawn[0] if drawn else len(layers)
    # A part of a network is of the network's own kind.
    return network[shared:](network[:shared](hidden).index_select(0, place))


def _drops(layer: nn.Module) -> bool:
    return isinstance(layer, nn.Dropout) and layer.training and layer.p > 0
