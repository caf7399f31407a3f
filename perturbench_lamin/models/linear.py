"""The linear model of PerturBench."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor, nn

from perturbench_lamin.loading.batches import Batch
from perturbench_lamin.loading.vocabulary import Vocabulary
from perturbench_lamin.models.base import PerturbationModel
from perturbench_lamin.models.distinct import distinct_inputs
from perturbench_lamin.models.hyperparameters import GradientHyperparameters, Hyperparameters


@dataclass(frozen=True)
class LinearHyperparameters(GradientHyperparameters):
    """Hyperparameters of :class:`Linear`.

    Attributes:
        inject_covariates: whether covariates shift the prediction too.
        softplus_output: whether softplus makes the prediction positive. The paper's Eq. 1 has none, the public
            code always has it, so the published hyperparameters were found with it; hence the default. With
            it a gene that is zero in the control and unshifted is predicted as log 2.
    """

    lr: float = 1e-3
    wd: float = 1e-4
    inject_covariates: bool = True
    softplus_output: bool = True


class Linear(PerturbationModel):
    """x̂ = softplus(x_control + W [p; c] + b) (PerturBench, arXiv 2408.10609, Eq. 1; ``LinearAdditive``)."""

    name: ClassVar[str] = "linear"
    hyperparameters_type: ClassVar[type[Hyperparameters]] = LinearHyperparameters

    def __init__(self, hyperparameters: LinearHyperparameters, vocabulary: Vocabulary) -> None:
        super().__init__(hyperparameters, vocabulary)
        self.settings = hyperparameters
        n_in = len(vocabulary.perturbations) + (vocabulary.n_covariates if hyperparameters.inject_covariates else 0)
        self.weights = nn.Linear(n_in, len(vocabulary.genes))

    def predict(self, batch: Batch) -> Tensor:
        """The control cell plus the shift of its tokens and covariates."""
        codes = [(batch.condition_ids, batch.perturbations)]
        if self.settings.inject_covariates:
            codes.append((batch.state_ids, batch.covariates))
        inputs, place = distinct_inputs(codes)
        shifts = self.weights(inputs).to(batch.controls.dtype)
        shifted = shifts.index_select(0, place).add_(batch.controls)
        return nn.functional.softplus(shifted) if self.settings.softplus_output else shifted
