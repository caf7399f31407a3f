"""Gaussian codes of the variational models: an encoder, samples and densities."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from perturbench_lamin.models.distinct import run_distinct


@dataclass(frozen=True)
class Gaussian:
    """Independent normal distributions.

    Attributes:
        mean: cells × dimensions.
        log_variance: cells × dimensions.
    """

    mean: Tensor
    log_variance: Tensor

    def sample(self, noise: Tensor | None = None) -> Tensor:
        """Mean plus standard deviation times standard normal noise (by default fresh noise)."""
        noise = torch.randn_like(self.mean) if noise is None else noise
        return self.mean + torch.exp(0.5 * self.log_variance) * noise

    def log_density(self, value: Tensor) -> Tensor:
        """log q(value), summed over dimensions (cells)."""
        squared = (value - self.mean) ** 2 / torch.exp(self.log_variance)
        return -0.5 * (math.log(2 * math.pi) + self.log_variance + squared).sum(1)

    def divergence(self) -> Tensor:
        """KL(q ‖ N(0, 1)) in closed form, summed over dimensions (cells)."""
        return 0.5 * (self.mean**2 + torch.exp(self.log_variance) - 1 - self.log_variance).sum(1)


def standard_log_density(value: Tensor) -> Tensor:
    """log N(value; 0, 1), summed over dimensions (cells)."""
    return -0.5 * (math.log(2 * math.pi) + value**2).sum(1)


def fixed_noise(like: Tensor) -> Tensor:
    """Standard normal noise of a shape, the same whenever that shape is asked for.

    Sampled predictions are then the same in every call and on every device, and cell number i of a batch has the
    same noise under every perturbation, so that differences between perturbations are not noise.
    """
    generator = torch.Generator().manual_seed(0)
    return torch.randn(like.shape, generator=generator).to(like)


class GaussianEncoder(nn.Module):
    """A perceptron with two heads: the mean and the log variance of a code.

    Linear(in, h), norm, ReLU, dropout; n × [Linear(h, h), norm, ReLU, dropout]; heads Linear(h, out). Unlike
    :func:`~perturbench_lamin.models.mlp.mlp`, the first layer too is followed by norm and ReLU.

    Args:
        n_in: inputs.
        hidden: width of the hidden layers.
        n_out: dimensions of the code.
        n_layers: blocks after the first.
        dropout: probability of dropping a hidden unit.
        affine: whether the norms have parameters.
    """

    def __init__(
        self, n_in: int, hidden: int, n_out: int, n_layers: int, *, dropout: float, affine: bool = True
    ) -> None:
        super().__init__()
        blocks: list[nn.Module] = []
        for width in [n_in, *[hidden] * n_layers]:
            norm = nn.LayerNorm(hidden, elementwise_affine=affine)
            blocks += [nn.Linear(width, hidden), norm, nn.ReLU(), nn.Dropout(dropout)]
        self.body = nn.Sequential(*blocks)
        self.mean = nn.Linear(hidden, n_out)
        self.log_variance = nn.Linear(hidden, n_out)

    def forward(self, inputs: Tensor) -> Gaussian:
        """The code of each row, in single precision whatever the network computes in."""
        return self._code(self.body(inputs))

    def of_distinct(self, codes: Sequence[tuple[Tensor, Tensor]]) -> Gaussian:
        """The same for inputs that repeat, each encoded once as far as that is the same.

        Args:
            codes: see :func:`~perturbench_lamin.models.distinct.distinct_inputs`.
        """
        return self._code(run_distinct(self.body, codes))

    def _code(self, hidden: Tensor) -> Gaussian:
        return Gaussian(self.mean(hidden).float(), self.log_variance(hidden).float())
