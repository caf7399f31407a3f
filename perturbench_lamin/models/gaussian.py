"""Gaussian codes of the variational models: an encoder, samples and densities."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from perturbench_lamin.models.distinct import run_distinct
from perturbench_lamin.models.mlp import at_least_single
from perturbench_lamin.models.noise import Noise


@dataclass(frozen=True)
class Gaussian:
    """Independent normal distributions.

    Attributes:
        mean: cells × dimensions.
        log_variance: cells × dimensions.
    """

    mean: Tensor
    log_variance: Tensor

    def sample(self, noise: Tensor) -> Tensor:
        """Mean plus standard deviation times standard normal noise."""
        return self.mean + torch.exp(0.5 * self.log_variance) * noise

    def draw(self, noise: Noise | None, name: str) -> Tensor:
        """A sample with noise of that name, or the mean where there is no noise."""
        return self.mean if noise is None else self.sample(noise.normal(name, self.mean))

    def log_ratio(self, value: Tensor) -> Tensor:
        """log q(value) − log N(value; 0, 1), summed over dimensions (cells)."""
        squared = (value - self.mean) ** 2 / torch.exp(self.log_variance)
        return 0.5 * (value**2 - self.log_variance - squared).sum(1)  # without log 2π, which both would have

    def divergence(self) -> Tensor:
        """KL(q ‖ N(0, 1)) in closed form, summed over dimensions (cells)."""
        return 0.5 * (self.mean**2 + torch.exp(self.log_variance) - 1 - self.log_variance).sum(1)


class GaussianEncoder(nn.Module):
    """A network with two heads: the mean and the log variance of a code.

    Args:
        body: layers from the inputs to ``hidden`` numbers a row; they treat each row by itself.
        hidden: inputs of each head.
        n_out: dimensions of the code.
        least_deviation: what standard deviations are at least; smaller ones get no gradient. 0 for no limit.
    """

    def __init__(self, body: nn.Sequential, hidden: int, n_out: int, *, least_deviation: float = 0.0) -> None:
        super().__init__()
        self.body = body
        self.mean = nn.Linear(hidden, n_out)
        self.log_variance = nn.Linear(hidden, n_out)
        self.least_log_variance = 2 * math.log(least_deviation) if least_deviation else None

    def forward(self, inputs: Tensor) -> Gaussian:
        """The code of each row, in single precision where the network computes in half."""
        return self._code(self.body(inputs))

    def of_distinct(self, codes: Sequence[tuple[Tensor, Tensor]]) -> Gaussian:
        """The same for inputs that repeat, each encoded once as far as that is the same.

        Args:
            codes: see :func:`~perturbench_lamin.models.distinct.distinct_inputs`.
        """
        return self._code(run_distinct(self.body, codes))

    def _code(self, hidden: Tensor) -> Gaussian:
        log_variance = at_least_single(self.log_variance(hidden))
        if self.least_log_variance is not None:
            log_variance = log_variance.clamp(min=self.least_log_variance)
        return Gaussian(at_least_single(self.mean(hidden)), log_variance)
