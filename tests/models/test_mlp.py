from __future__ import annotations

import pytest
import torch
from plain_networks import n_parameters
from torch import nn

from perturbench_lamin.errors import InputError
from perturbench_lamin.models.mlp import mlp


@pytest.mark.parametrize(("generation", "expected"), [("v0", 516), ("v1", 788)])
def test_parameter_counts_of_the_two_generations(generation, expected):
    assert n_parameters(mlp(10, 16, 4, 2, generation=generation)) == expected


@pytest.mark.parametrize("n_layers", [0, 1, 3])
@pytest.mark.parametrize("generation", ["v0", "v1"])
def test_nonlinear_blocks(generation, n_layers):
    layers = list(mlp(5, 7, 3, n_layers, dropout=0.2, generation=generation))
    kinds = [nn.Linear, nn.LayerNorm, nn.ReLU, nn.Dropout] * n_layers + [nn.Linear]
    assert [type(layer) for layer in layers] == ([nn.Linear] if generation == "v1" else []) + kinds
    assert nn.Sequential(*layers)(torch.ones(1, 5)).shape == (1, 3)


def test_dropout_only_where_asked_for():
    assert not any(isinstance(layer, nn.Dropout) for layer in mlp(2, 3, 1, 2))


def test_unknown_generation():
    with pytest.raises(InputError, match="Unknown generation"):
        mlp(1, 1, 1, 1, generation="v9")
