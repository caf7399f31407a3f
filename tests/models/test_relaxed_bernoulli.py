from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.stats import bernoulli

from perturbench_lamin.models.relaxed_bernoulli import TEMPERATURE, log_probability, sample_mask


def test_samples_are_zero_or_one_with_the_probability_of_the_logit():
    torch.manual_seed(0)
    logits = torch.tensor([-2.0, 0.0, 1.5]).expand(20_000, 3)
    samples = sample_mask(logits, torch.rand(20_000, 3))
    assert set(samples.unique().tolist()) <= {0.0, 1.0}
    np.testing.assert_allclose(samples.mean(0).numpy(), torch.sigmoid(logits[0]).numpy(), atol=0.015)


def test_the_gradient_is_that_of_the_relaxation():
    logits = torch.tensor([0.3, -1.2], dtype=torch.float64, requires_grad=True)
    uniform = np.array([0.2, 0.9])
    sample_mask(logits, torch.from_numpy(uniform)).sum().backward()
    soft = 1 / (1 + np.exp(-(logits.detach().numpy() + np.log(uniform) - np.log1p(-uniform)) / TEMPERATURE))
    np.testing.assert_allclose(logits.grad.numpy(), soft * (1 - soft) / TEMPERATURE)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_uniform_numbers_of_0_and_1_have_a_gradient_all_the_same(dtype):
    logits = torch.zeros(2, dtype=dtype, requires_grad=True)
    sample = sample_mask(logits, torch.tensor([0.0, 1.0], dtype=dtype))
    sample.sum().backward()
    assert sample.tolist() == [0, 1]
    assert logits.grad.isfinite().all()


def test_log_probability_is_bernoullis():
    mask, logits = np.array([[0.0, 1, 1], [1, 0, 0]]), np.array([[-3.0, 0.2, 5], [1, 2, -1]])
    expected = bernoulli.logpmf(mask.astype(int), 1 / (1 + np.exp(-logits))).sum(1)
    np.testing.assert_allclose(log_probability(torch.tensor(mask), torch.tensor(logits)).numpy(), expected)
