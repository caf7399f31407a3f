"""The perceptron that the deep models are made of."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from perturbench_lamin.errors import InputError


class Perceptron(nn.Sequential):
    """Layers that treat each row by itself; two linear ones at the start act as one where that is less work.

    W₂(W₁x + b₁) + b₂ = (W₂W₁)x + (W₂b₁ + b₂): for many rows of few inputs, such as codes of a latent space, the
    product of the weights costs less than the wide layer between them for every row. The same function of the same
    parameters, and the same gradient, but for the order of sums.
    """

    def forward(self, inputs: Tensor) -> Tensor:
        """The output of each row (rows × outputs)."""
        layers = list(self)
        first, second = [*layers, None, None][:2]
        if isinstance(first, nn.Linear) and isinstance(second, nn.Linear):
            inputs, layers = _both(first, second, inputs), layers[2:]
        for layer in layers:
            inputs = layer(inputs)
        return inputs


def _both(first: nn.Linear, second: nn.Linear, inputs: Tensor) -> Tensor:
    rows, n_in, between, n_out = len(inputs), first.in_features, first.out_features, second.out_features
    if rows * between * (n_in + n_out) <= n_in * n_out * (rows + between):  # multiplications apart, and as one
        return second(first(inputs))
    bias = nn.functional.linear(first.bias, second.weight, second.bias)
    return nn.functional.linear(inputs, second.weight @ first.weight, bias)


def mlp(
    n_in: int,
    hidden: int,
    n_out: int,
    n_layers: int,
    *,
    dropout: float | None = None,
    affine: bool = False,
    generation: str = "v1",
) -> Perceptron:
    """A multilayer perceptron as the public PerturBench code lays it out.

    Its two generations differ, so that the same ``n_layers`` is one linear layer more in the later one:

    - ``v1`` (October 2025, the published tables): Linear(in, h), then n × [Linear(h, h), norm, ReLU, dropout],
      then Linear(h, out). Nothing stands between the first two linear layers.
    - ``v0`` (August 2024): n × [Linear, norm, ReLU, dropout], then Linear(h, out).

    Args:
        n_in: inputs.
        hidden: width of the hidden layers.
        n_out: outputs.
        n_layers: blocks with a nonlinearity.
        dropout: probability of dropping a hidden unit; None for no dropout layer.
        affine: whether the norms, LayerNorms, have weight and bias.
        generation: ``v1`` or ``v0``.
    """
    if generation not in ("v0", "v1"):
        raise InputError(f"Unknown generation {generation!r}", where="mlp", fix="Give v0 or v1.")
    widths = [hidden] * n_layers if generation == "v1" else [n_in, *[hidden] * (n_layers - 1)][:n_layers]
    layers: list[nn.Module] = [nn.Linear(n_in, hidden)] if generation == "v1" else []
    for width in widths:
        layers += block(width, hidden, dropout=dropout, affine=affine)
    last = hidden if layers else n_in
    return Perceptron(*layers, nn.Linear(last, n_out))


def block(n_in: int, n_out: int, *, dropout: float | None, affine: bool) -> list[nn.Module]:
    """Linear, norm, ReLU, and dropout unless it is None."""
    layers: list[nn.Module] = [nn.Linear(n_in, n_out), nn.LayerNorm(n_out, elementwise_affine=affine), nn.ReLU()]
    return layers if dropout is None else [*layers, nn.Dropout(dropout)]


def at_least_single(values: Tensor) -> Tensor:
    """The values in single precision where they are in half: sums, exponentials and densities need it."""
    return values.to(torch.promote_types(values.dtype, torch.float32))
