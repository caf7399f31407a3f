"""The perturbation-mean baseline."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from torch import Tensor

from perturbench_lamin.loading.batches import Batch
from perturbench_lamin.loading.vocabulary import Vocabulary
from perturbench_lamin.models.closed_form import Centroids, ClosedForm, ClosedFormHyperparameters
from perturbench_lamin.models.hyperparameters import Hyperparameters
from perturbench_lamin.models.tables import with_fallback


class PerturbationMean(ClosedForm):
    """μ̂ = μ̄, the mean over the centroids of the training conditions, each condition counting once.

    Per covariate state (Systema, Nature Biotechnology 2025: the shift shared by all perturbations). In a state
    without training perturbations: the state's control mean plus the mean shift of the other states. A control
    is predicted unchanged.
    """

    name: ClassVar[str] = "perturbation_mean"
    mean_shift: Tensor

    def __init__(self, hyperparameters: ClosedFormHyperparameters, vocabulary: Vocabulary) -> None:
        super().__init__(hyperparameters, vocabulary)
        self.register_buffer("mean_shift", self.table())

    @classmethod
    def known_tokens(
        cls, hyperparameters: Hyperparameters, tokens: Sequence[str], genes: Sequence[str]
    ) -> tuple[str, ...]:
        """All: it predicts the same whatever is perturbed."""
        return tuple(tokens)

    def solve(self, centroids: Centroids) -> None:
        """The mean effect of each state."""
        n_seen = centroids.seen.sum(1)
        means = centroids.effects.sum(1) / n_seen.clamp(min=1)[:, None]
        self.mean_shift.copy_(with_fallback(means[:, None], n_seen[:, None] > 0)[:, 0])

    def shift(self, batch: Batch) -> Tensor:
        """The state's mean effect; zero for controls."""
        perturbed = batch.perturbations.any(1, keepdim=True)
        return self.mean_shift[batch.state_ids] * perturbed
