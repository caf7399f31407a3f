"""The decoder-only model of PerturBench."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from perturbench_lamin.errors import InputError
from perturbench_lamin.loading.batches import Batch
from perturbench_lamin.loading.vocabulary import Vocabulary
from perturbench_lamin.models.base import PerturbationModel
from perturbench_lamin.models.hyperparameters import GradientHyperparameters, Hyperparameters
from perturbench_lamin.models.mlp import mlp


@dataclass(frozen=True)
class DecoderOnlyHyperparameters(GradientHyperparameters):
    """Hyperparameters of :class:`DecoderOnly`.

    Attributes:
        n_layers: nonlinear blocks (generation v1, see :func:`~.mlp.mlp`).
        encoder_width: hidden width.
        use_perturbations: whether it sees the tokens; without, it is the paper's covariates-only control.
        use_covariates: whether it sees the covariates.
        softplus_output: whether softplus makes the prediction positive.
    """

    lr: float = 6.72e-5
    wd: float = 7.90e-9
    n_layers: int = 3
    encoder_width: int = 3072
    use_perturbations: bool = True
    use_covariates: bool = True
    softplus_output: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        if not (self.use_perturbations or self.use_covariates):
            raise InputError("The decoder has no input", where="decoder_only", fix="Use perturbations or covariates.")


class DecoderOnly(PerturbationModel):
    """x̂ = softplus(MLP([p; c])): it never sees the control cell (PerturBench, arXiv 2408.10609).

    All cells of a condition and state have one prediction, so it is computed once for each of them in a batch:
    the same loss and gradient as cell by cell.
    """

    name: ClassVar[str] = "decoder_only"
    hyperparameters_type: ClassVar[type[Hyperparameters]] = DecoderOnlyHyperparameters

    def __init__(self, hyperparameters: DecoderOnlyHyperparameters, vocabulary: Vocabulary) -> None:
        super().__init__(hyperparameters, vocabulary)
        self.settings = settings = hyperparameters
        n_in = len(vocabulary.perturbations) * settings.use_perturbations
        n_in += vocabulary.n_covariates * settings.use_covariates
        self.decoder = mlp(n_in, settings.encoder_width, len(vocabulary.genes), settings.n_layers)

    def predict(self, batch: Batch) -> Tensor:
        """Decode each distinct input once and give every cell its own."""
        inputs, place = torch.unique(self._inputs(batch), dim=0, return_inverse=True)
        decoded = self.decoder(inputs)
        return (nn.functional.softplus(decoded) if self.settings.softplus_output else decoded)[place]

    def _inputs(self, batch: Batch) -> Tensor:
        used = [batch.perturbations] * self.settings.use_perturbations
        return torch.cat([*used, *[batch.covariates] * self.settings.use_covariates], dim=1)
