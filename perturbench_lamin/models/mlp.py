"""The perceptron that the deep models are made of."""

from __future__ import annotations

from torch import nn

from perturbench_lamin.errors import InputError


def mlp(
    n_in: int, hidden: int, n_out: int, n_layers: int, *, dropout: float | None = None, generation: str = "v1"
) -> nn.Sequential:
    """A multilayer perceptron as the public PerturBench code lays it out.

    Its two generations differ, so that the same ``n_layers`` is one linear layer more in the later one:

    - ``v1`` (October 2025, the published tables): Linear(in, h), then n × [Linear(h, h), norm, ReLU, dropout],
      then Linear(h, out). Nothing stands between the first two linear layers.
    - ``v0`` (August 2024): n × [Linear, norm, ReLU, dropout], then Linear(h, out).

    The norm is a LayerNorm without parameters.

    Args:
        n_in: inputs.
        hidden: width of the hidden layers.
        n_out: outputs.
        n_layers: blocks with a nonlinearity.
        dropout: probability of dropping a hidden unit; None for no dropout layer.
        generation: ``v1`` or ``v0``.
    """
    if generation not in ("v0", "v1"):
        raise InputError(f"Unknown generation {generation!r}", where="mlp", fix="Give v0 or v1.")
    widths = [hidden] * n_layers if generation == "v1" else [n_in, *[hidden] * (n_layers - 1)][:n_layers]
    layers: list[nn.Module] = [nn.Linear(n_in, hidden)] if generation == "v1" else []
    for width in widths:
        layers += [nn.Linear(width, hidden), nn.LayerNorm(hidden, elementwise_affine=False), nn.ReLU()]
        if dropout is not None:
            layers.append(nn.Dropout(dropout))
    last = hidden if layers else n_in
    return nn.Sequential(*layers, nn.Linear(last, n_out))
