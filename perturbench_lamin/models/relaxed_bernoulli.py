"""Binary masks that gradients pass through: the relaxed Bernoulli distribution, hard, straight-through."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

TEMPERATURE = 0.5


def sample_mask(logits: Tensor, uniform: Tensor) -> Tensor:
    """A sample of 0 and 1 with the gradient of its relaxation.

    The relaxation is σ((logits + log u − log(1 − u)) / τ), τ = 0.5 (Maddison, Mnih & Teh, ICLR 2017; Jang, Gu &
    Poole, ICLR 2017); the sample is 1 where it exceeds 0.5, which has probability σ(logits).

    Args:
        logits: of the probabilities.
        uniform: u, numbers between 0 and 1 of the same shape; independent of each other.
    """
    least = torch.finfo(uniform.dtype).eps  # 0 and 1, which random numbers may be, have no logit
    soft = torch.sigmoid((logits + uniform.clamp(least, 1 - least).logit()) / TEMPERATURE)
    return (soft > 0.5).to(soft) + (soft - soft.detach())  # the difference is exactly 0


def log_probability(mask: Tensor, logits: Tensor) -> Tensor:
    """log Bernoulli(mask; σ(logits)), summed over the last dimension; differentiable in both."""
    return (mask * logsigmoid(logits) + (1 - mask) * logsigmoid(-logits)).sum(-1)
