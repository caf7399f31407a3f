"""The no-change baseline."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor

from perturbench_lamin.loading.batches import Batch
from perturbench_lamin.models.closed_form import Centroids, ClosedForm
from perturbench_lamin.models.hyperparameters import Hyperparameters


class ControlMean(ClosedForm):
    """No change: μ̂ = μ_c, the mean of the training controls of the covariate state.

    The key baseline of Ahlmann-Eltze, Huber & Anders, Nature Methods 2025. In a state that training lacks: the
    mean of the states' control means. With ``base="cells"`` the prediction is the control cell itself.
    """

    name: ClassVar[str] = "control_mean"

    @classmethod
    def known_tokens(
        cls, hyperparameters: Hyperparameters, tokens: Sequence[str], genes: Sequence[str]
    ) -> tuple[str, ...]:
        """All: it predicts the same whatever is perturbed."""
        return tuple(tokens)

    def solve(self, centroids: Centroids) -> None:
        """There is nothing beside the control mean."""

    def shift(self, batch: Batch) -> Tensor:
        """Zero."""
        return torch.zeros_like(batch.controls)
