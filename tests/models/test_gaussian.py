from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from plain_networks import encoder_size, n_parameters, plain_encoder
from scipy.stats import norm

from perturbench_lamin.models.gaussian import Gaussian, GaussianEncoder, fixed_noise, standard_log_density


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 1000), cells=st.integers(1, 4), width=st.integers(1, 5))
def test_densities_are_those_of_independent_normals(seed, cells, width):
    rng = np.random.default_rng(seed)
    mean, log_variance, value = rng.normal(size=(3, cells, width))
    code = Gaussian(torch.tensor(mean), torch.tensor(log_variance))
    expected = norm.logpdf(value, mean, np.exp(log_variance / 2)).sum(1)
    np.testing.assert_allclose(code.log_density(torch.tensor(value)).numpy(), expected)
    np.testing.assert_allclose(standard_log_density(torch.tensor(value)).numpy(), norm.logpdf(value).sum(1))


def test_the_divergence_is_the_mean_difference_of_densities():
    torch.manual_seed(0)
    code = Gaussian(torch.tensor([[1.0, -0.5]]).double(), torch.tensor([[0.3, -1.0]]).double())
    many = Gaussian(code.mean.expand(200_000, 2), code.log_variance.expand(200_000, 2))
    values = many.sample()
    estimate = (many.log_density(values) - standard_log_density(values)).mean()
    np.testing.assert_allclose(code.divergence().numpy(), estimate.numpy(), rtol=0.02)
    assert Gaussian(torch.zeros(3, 2), torch.zeros(3, 2)).divergence().tolist() == [0, 0, 0]


@pytest.mark.parametrize("affine", [True, False])
@pytest.mark.parametrize("n_layers", [0, 2])
def test_the_encoder_is_its_formula(n_layers, affine):
    torch.manual_seed(0)
    encoder = GaussianEncoder(5, 7, 3, n_layers, dropout=0.3, affine=affine).eval()
    assert n_parameters(encoder) == encoder_size(5, 7, 3, n_layers, affine)
    for layer in encoder.body:
        if affine and isinstance(layer, torch.nn.LayerNorm):
            torch.nn.init.normal_(layer.weight)
            torch.nn.init.normal_(layer.bias)
    x = torch.randn(4, 5)
    code = encoder(x)
    mean, log_variance = plain_encoder(encoder, x.double().numpy())
    np.testing.assert_allclose(code.mean.detach().numpy(), mean, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(code.log_variance.detach().numpy(), log_variance, rtol=1e-4, atol=1e-5)


def test_fixed_noise_is_the_same_whatever_the_random_state():
    torch.manual_seed(1)
    one = fixed_noise(torch.zeros(2000, 3))
    torch.manual_seed(2)
    assert torch.equal(one, fixed_noise(torch.ones(2000, 3)))
    assert abs(float(one.mean())) < 0.05
    assert abs(float(one.std()) - 1) < 0.05
