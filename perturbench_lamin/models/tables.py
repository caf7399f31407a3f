"""Tables per covariate state, with the mean over states where a state has no value of its own."""

from __future__ import annotations

import torch
from torch import Tensor


def with_fallback(values: Tensor, seen: Tensor) -> Tensor:
    """Fill what a state lacks with the mean over the states that have it, and add that mean as a last row.

    Args:
        values: states × items × genes; zero where not seen.
        seen: states × items.

    Returns:
        (states + 1) × items × genes; zero for an item that no state has.
    """
    mean = values.sum(0) / seen.sum(0).clamp(min=1)[:, None]
    return torch.cat([torch.where(seen[..., None], values, mean), mean[None]])
