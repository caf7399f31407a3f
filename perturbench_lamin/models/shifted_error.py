"""The squared error of cells that are shifted, without arrays as large as the batch beside it."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

ROWS = 128
"""How many cells are worked on at once: some MiB, which a processor's cache holds."""


def shifted_error(cells: Tensor, shifts: Tensor, place: Tensor, target: Tensor, *, softplus: bool) -> Tensor:
    """The mean of (f(cells + shifts[place]) − target)², f being softplus or nothing; a scalar.

    The same as in torch's own operations, which keep the sum, the prediction and a gradient of each, four times the
    batch. Here the gradient of ``shifts`` comes with the error, a few cells at a time.

    Args:
        cells: cells × genes; a constant.
        shifts: the distinct shifts (shifts × genes).
        place: each cell's shift (cells).
        target: cells × genes; a constant.
        softplus: whether f is softplus.
    """
    error: Tensor = _ShiftedError.apply(cells, shifts, place, target, softplus)  # type: ignore[no-untyped-call]
    return error


class _ShiftedError(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, cells: Tensor, shifts: Tensor, place: Tensor, target: Tensor, softplus: bool) -> Tensor:
        wanted, total = ctx.needs_input_grad[1], cells.new_zeros((), dtype=torch.float64)
        gradient = torch.zeros_like(shifts) if wanted else None
        for start in range(0, len(cells), ROWS):
            part = slice(start, start + ROWS)
            shifted = cells[part] + shifts[place[part]]
            residual = (torch.nn.functional.softplus(shifted) if softplus else shifted) - target[part]
            total += torch.linalg.vector_norm(residual).double().square()
            if gradient is not None:
                if softplus:
                    residual *= shifted.sigmoid_()
                gradient.index_add_(0, place[part], residual.to(gradient.dtype))
        if gradient is not None:
            ctx.save_for_backward(gradient.mul_(2 / target.numel()))
        return (total / target.numel()).to(cells.dtype)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        (gradient,) = ctx.saved_tensors
        return None, gradient * gradients[0], None, None, None
