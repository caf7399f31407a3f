from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from perturbench_lamin.models.shifted_error import ROWS, shifted_error


def plain(cells, shifts, place, target, softplus):
    predicted = cells + shifts[place]
    return ((torch.nn.functional.softplus(predicted) if softplus else predicted) - target).square().mean()


@settings(max_examples=30, deadline=None)
@given(
    n=st.sampled_from([1, 7, ROWS - 1, ROWS, ROWS + 1, 3 * ROWS]),
    groups=st.integers(1, 5),
    softplus=st.booleans(),
    seed=st.integers(0, 99),
)
def test_value_and_gradient_are_those_of_the_formula(n, groups, softplus, seed):
    random = torch.Generator().manual_seed(seed)
    cells, target = torch.randn(2, n, 6, generator=random, dtype=torch.float64)
    place = torch.randint(groups, (n,), generator=random)
    shifts = torch.randn(groups, 6, generator=random, dtype=torch.float64, requires_grad=True)
    error, expected = (
        shifted_error(cells, shifts, place, target, softplus=softplus),
        plain(cells, shifts, place, target, softplus),
    )
    torch.testing.assert_close(error, expected)
    (found,) = torch.autograd.grad(3 * error, shifts)
    torch.testing.assert_close(found, torch.autograd.grad(3 * expected, shifts)[0])


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_gradient_has_the_precision_of_the_shifts(dtype):
    """Under mixed precision shifts come in sixteen bits, cells in thirty-two."""
    cells, target, place = torch.rand(5, 4), torch.rand(5, 4), torch.tensor([0, 1, 1, 0, 1])
    shifts = torch.rand(2, 4).to(dtype).requires_grad_()
    error = shifted_error(cells, shifts, place, target, softplus=True)
    assert error.dtype == torch.float32
    error.backward()
    expected = shifts.detach().float().requires_grad_()
    plain(cells, expected, place, target, True).backward()
    assert shifts.grad.dtype == dtype
    torch.testing.assert_close(shifts.grad.float(), expected.grad, rtol=0.05, atol=1e-3)


def test_the_arguments_stay_as_they_are():
    cells, target, place = torch.rand(5, 4), torch.rand(5, 4), torch.tensor([0, 1, 1, 0, 1])
    shifts = torch.rand(2, 4, requires_grad=True)
    before = [cells.clone(), target.clone(), shifts.detach().clone()]
    shifted_error(cells, shifts, place, target, softplus=True).backward()
    for value, was in zip((cells, target, shifts), before, strict=True):
        assert torch.equal(value, was)
