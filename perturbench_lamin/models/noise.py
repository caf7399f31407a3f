"""Where models take random numbers from: one place, so that they can be fixed, or given."""

from __future__ import annotations

import zlib

import torch
from torch import Tensor


class Noise:
    """Fresh noise, from torch's generator.

    A model draws through its ``noise`` in training and through its ``prediction_noise`` in prediction, dropout
    excepted; whoever has the numbers already puts an object with these two methods there.
    """

    def normal(self, name: str, like: Tensor) -> Tensor:
        """Standard normal numbers.

        Args:
            name: what the model draws, such as ``basal``.
            like: has the shape, the precision and the device.
        """
        return torch.randn_like(like)

    def uniform(self, name: str, like: Tensor) -> Tensor:
        """Numbers between 0 and 1; arguments as of :meth:`normal`."""
        return torch.rand_like(like)


class FixedNoise(Noise):
    """The same numbers whenever a name and a shape are asked for.

    Sampled predictions are then the same in every call and on every device, and cell number i of a batch has the
    same noise under every perturbation, so that differences between perturbations are not noise. What has another
    name is independent.
    """

    def normal(self, name: str, like: Tensor) -> Tensor:
        """Standard normal numbers."""
        return torch.randn(like.shape, generator=_generator(name)).to(like)

    def uniform(self, name: str, like: Tensor) -> Tensor:
        """Numbers between 0 and 1."""
        return torch.rand(like.shape, generator=_generator(name)).to(like)


def _generator(name: str) -> torch.Generator:
    return torch.Generator().manual_seed(zlib.crc32(name.encode()))
