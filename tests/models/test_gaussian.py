from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from plain_networks import heads_size, mlp_size, n_parameters, plain_encoder
from scipy.stats import norm

from perturbench_lamin.models.gaussian import Gaussian, GaussianEncoder
from perturbench_lamin.models.mlp import mlp
from perturbench_lamin.models.noise import FixedNoise, Noise


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 1000), cells=st.integers(1, 4), width=st.integers(1, 5))
def test_ratios_of_densities_are_those_of_independent_normals(seed, cells, width):
    rng = np.random.default_rng(seed)
    mean, log_variance, value = rng.normal(size=(3, cells, width))
    code = Gaussian(torch.tensor(mean), torch.tensor(log_variance))
    expected = (norm.logpdf(value, mean, np.exp(log_variance / 2)) - norm.logpdf(value)).sum(1)
    np.testing.assert_allclose(code.log_ratio(torch.tensor(value)).numpy(), expected, rtol=1e-6, atol=1e-12)


def test_the_divergence_is_the_mean_difference_of_densities():
    torch.manual_seed(0)
    code = Gaussian(torch.tensor([[1.0, -0.5]]).double(), torch.tensor([[0.3, -1.0]]).double())
    many = Gaussian(code.mean.expand(200_000, 2), code.log_variance.expand(200_000, 2))
    values = many.draw(Noise(), "any")
    estimate = many.log_ratio(values).mean()
    np.testing.assert_allclose(code.divergence().numpy(), estimate.numpy(), rtol=0.02)
    assert Gaussian(torch.zeros(3, 2), torch.zeros(3, 2)).divergence().tolist() == [0, 0, 0]


def test_without_noise_the_mean_is_drawn():
    code = Gaussian(torch.ones(2, 3), torch.zeros(2, 3))
    assert torch.equal(code.draw(None, "any"), code.mean)
    torch.manual_seed(3)
    drawn = code.draw(Noise(), "any")
    torch.manual_seed(3)
    assert torch.equal(drawn, 1 + torch.randn(2, 3))


@pytest.mark.parametrize("affine", [True, False])
@pytest.mark.parametrize("n_layers", [0, 2])
def test_the_encoder_is_its_formula(n_layers, affine):
    torch.manual_seed(0)
    encoder = GaussianEncoder(mlp(5, 7, 7, n_layers, affine=affine), 7, 3).eval()
    assert n_parameters(encoder) == mlp_size(5, 7, 7, n_layers, affine) + heads_size(7, 3)
    for layer in encoder.body:
        if affine and isinstance(layer, torch.nn.LayerNorm):
            torch.nn.init.normal_(layer.weight)
            torch.nn.init.normal_(layer.bias)
    x = torch.randn(4, 5)
    code = encoder(x)
    mean, log_variance = plain_encoder(encoder, x.double().numpy())
    np.testing.assert_allclose(code.mean.detach().numpy(), mean, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(code.log_variance.detach().numpy(), log_variance, rtol=1e-4, atol=1e-5)


def test_deviations_below_the_least_have_no_gradient():
    encoder = GaussianEncoder(mlp(2, 4, 4, 1), 4, 3, least_deviation=1e-8)
    torch.nn.init.constant_(encoder.log_variance.bias, -100.0)
    code = encoder(torch.ones(1, 2))
    torch.testing.assert_close(torch.exp(0.5 * code.log_variance), torch.full((1, 3), 1e-8), atol=0, rtol=1e-5)
    code.log_variance.sum().backward()
    assert not encoder.log_variance.bias.grad.any()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32, torch.float64])
def test_codes_are_in_single_precision_at_least(dtype):
    code = GaussianEncoder(mlp(2, 4, 4, 1), 4, 3).to(dtype)(torch.ones(1, 2, dtype=dtype))
    assert code.mean.dtype == code.log_variance.dtype == (torch.float64 if dtype == torch.float64 else torch.float32)


@pytest.mark.parametrize("kind", ["normal", "uniform"])
def test_fixed_noise_is_the_same_whatever_the_random_state(kind):
    draw = getattr(FixedNoise(), kind)
    torch.manual_seed(1)
    one = draw("basal", torch.zeros(2000, 3))
    torch.manual_seed(2)
    assert torch.equal(one, draw("basal", torch.ones(2000, 3)))
    mean, deviation = {"normal": (0, 1), "uniform": (0.5, 12**-0.5)}[kind]
    assert abs(float(one.mean()) - mean) < 0.05
    assert abs(float(one.std()) - deviation) < 0.05


def test_fixed_noise_of_another_name_is_independent():
    """The noise of effects and of basal codes, of one shape where each cell has one perturbation, adds up."""
    like = torch.zeros(2000, 3)
    pair = torch.stack([FixedNoise().normal(name, like).ravel() for name in ("basal", "effects")])
    assert abs(float(torch.corrcoef(pair)[0, 1])) < 0.05
