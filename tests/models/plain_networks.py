"""Networks in plain float64 arithmetic, and how many parameters they have: oracles."""

from __future__ import annotations

import numpy as np
import torch


def softplus(x: np.ndarray) -> np.ndarray:
    return np.logaddexp(0, x)


def weights(layer) -> tuple[np.ndarray, np.ndarray]:
    return layer.weight.detach().numpy().astype(np.float64), layer.bias.detach().numpy().astype(np.float64)


def plain_mlp(layers, x: np.ndarray) -> np.ndarray:
    """A perceptron in evaluation mode, in plain float64 arithmetic."""
    for layer in layers:
        if isinstance(layer, torch.nn.Linear):
            W, b = weights(layer)
            x = x @ W.T + b
        elif isinstance(layer, torch.nn.LayerNorm):
            x = (x - x.mean(1, keepdims=True)) / np.sqrt(x.var(1, keepdims=True) + 1e-5)
            scale, offset = weights(layer) if layer.elementwise_affine else (1.0, 0.0)
            x = x * scale + offset
        elif isinstance(layer, torch.nn.ReLU):
            x = np.maximum(x, 0)
    return x


def numbers(batch) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return tuple(part.numpy().astype(np.float64) for part in (batch.controls, batch.perturbations, batch.covariates))


def plain_encoder(encoder, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and log variance of a Gaussian encoder."""
    hidden = plain_mlp(encoder.body, x)
    return plain_mlp([encoder.mean], hidden), plain_mlp([encoder.log_variance], hidden)


def n_parameters(module: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def mlp_size(n_in: int, hidden: int, n_out: int, n_layers: int, affine: bool = False) -> int:
    """Generation v1: one linear layer before the n blocks, one after them."""
    norms = 2 * hidden * n_layers * affine
    return (n_in + 1) * hidden + n_layers * (hidden + 1) * hidden + norms + (hidden + 1) * n_out


def heads_size(hidden: int, n_out: int) -> int:
    """The mean and the log variance of a code."""
    return 2 * (hidden + 1) * n_out


def cpa_encoder_size(n_in: int, hidden: int, n_out: int, n_layers: int) -> int:
    """n + 1 linear layers, as many norms with parameters, two heads."""
    norms = 2 * hidden * (n_layers + 1)
    return (n_in + 1) * hidden + n_layers * (hidden + 1) * hidden + norms + heads_size(hidden, n_out)
