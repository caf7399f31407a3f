"""The loss of GEARS."""

from __future__ import annotations

import torch
from torch import Tensor


def gears_loss(
    predicted: Tensor,
    target: Tensor,
    *,
    control: Tensor,
    used: Tensor,
    conditions: Tensor,
    direction_lambda: float,
) -> Tensor:
    """Autofocus and direction loss (Roohani, Huang & Leskovec, Nature Biotechnology 2023, methods).

    The mean over the batch's conditions c of the mean over c's cells i and its used genes g of
    (x̂_ig − x_ig)⁴ + λ (sign(x_ig − μ_g) − sign(x̂_ig − μ_g))², μ the control mean. The sign has no gradient, so
    that the second term changes the value alone: so it is in the package too.

    Args:
        predicted: cells × genes.
        target: the observed cells, cells × genes.
        control: each cell's control mean, cells × genes.
        used: whether a gene counts for a cell: whether any training cell of its condition expresses it
            (cells × genes, bool).
        conditions: a number for each cell's condition (cells, int64).
        direction_lambda: λ.

    Returns:
        a scalar.
    """
    _, place, counts = torch.unique(conditions, return_inverse=True, return_counts=True)
    wrong = torch.sign(target - control) - torch.sign(predicted - control)
    terms = (predicted - target) ** 4 + direction_lambda * wrong**2
    means = (terms * used).sum(1) / used.sum(1).clamp(min=1)
    return (means / counts[place]).sum() / len(counts)
