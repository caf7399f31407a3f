"""The energy distance between sets of cells, in torch."""

from __future__ import annotations

import torch
from torch import Tensor


def energy_distance(x: Tensor, y: Tensor) -> Tensor:
    """2 E‖x − y‖ − E‖x − x'‖ − E‖y − y'‖ over all pairs of cells (Székely & Rizzo, 2013).

    Args:
        x: sets × cells × genes.
        y: likewise.

    Returns:
        one distance for each set (sets).
    """
    return 2 * _mean(x, y) - _mean(x, x) - _mean(y, y)


def _mean(x: Tensor, y: Tensor) -> Tensor:
    return torch.cdist(x, y).mean((1, 2))
