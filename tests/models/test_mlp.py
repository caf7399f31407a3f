from __future__ import annotations

import numpy as np
import pytest
import torch
from plain_networks import n_parameters, plain_mlp
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


@pytest.mark.parametrize("rows", [1, 6, 200])  # few: the layers one after the other; many: the first two as one
@pytest.mark.parametrize("n_layers", [0, 1, 2])
@pytest.mark.parametrize("generation", ["v0", "v1"])
def test_output_and_gradient_are_those_of_the_layers_one_after_the_other(rows, n_layers, generation):
    torch.manual_seed(0)
    network = mlp(6, 17, 9, n_layers, generation=generation).double()
    inputs = torch.randn(rows, 6, dtype=torch.float64, requires_grad=True)
    np.testing.assert_allclose(network(inputs).detach().numpy(), plain_mlp(network, inputs.detach().numpy()))
    found = []
    for run in (network, nn.Sequential(*network)):
        inputs.grad = None
        network.zero_grad()
        run(inputs).square().sum().backward()
        found.append([inputs.grad, *[parameter.grad for parameter in network.parameters()]])
    for quick, slow in zip(*found, strict=True):
        torch.testing.assert_close(quick, slow)


def test_many_rows_of_few_inputs_skip_the_wide_layer():
    calls = []
    network = mlp(4, 50, 3, 1)
    network[0].register_forward_hook(lambda *_: calls.append(1))
    network(torch.ones(5, 4))
    assert calls == []
    network(torch.ones(4, 4))
    assert calls == [1]
