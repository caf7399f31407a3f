"""BioLord, as PerturBench has it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from perturbench_lamin.loading.batches import Batch
from perturbench_lamin.loading.vocabulary import Vocabulary
from perturbench_lamin.models.base import PerturbationModel
from perturbench_lamin.models.covariates import covariate_slices
from perturbench_lamin.models.distinct import run_distinct
from perturbench_lamin.models.hyperparameters import GradientHyperparameters, Hyperparameters
from perturbench_lamin.models.mlp import at_least_single, mlp
from perturbench_lamin.models.noise import Noise


@dataclass(frozen=True)
class BioLordHyperparameters(GradientHyperparameters):
    """Hyperparameters of :class:`BioLord`; the three perceptrons share depth, width and dropout.

    Attributes:
        n_layers: nonlinear blocks of each perceptron (generation v1, see :func:`~.mlp.mlp`).
        encoder_width: hidden width.
        latent_dim: width of each part of the latent space: of the cell, the perturbation, and each covariate.
        dropout: probability of dropping a hidden unit.
        noise: standard deviation of the noise on the cell's code.
        penalty_weight: weight of the squared embeddings of the batch's covariates.
        softplus_output: whether softplus makes the prediction positive.
        sample_prediction: whether predictions too have noise on the cell's code, fixed noise, as the reference has
            fresh noise; by default they have none.
    """

    n_layers: int = 3
    encoder_width: int = 3072
    latent_dim: int = 32
    dropout: float = 0.1
    noise: float = 0.1
    penalty_weight: float = 1.0
    softplus_output: bool = True
    sample_prediction: bool = False


class BioLord(PerturbationModel):
    """x̂ = softplus(MLP([MLP(x) + ε; MLP(p); E_c of each covariate c])), ε ~ N(0, noise²) (Piran et al., 2024; v1).

    Trained to rebuild each cell from itself: mean over cells of Σ_genes (x − x̂)², plus penalty_weight times the sum
    over the batch's cells, covariates and dimensions of the squared covariate embeddings. Every covariate, whatever
    its name, has an embedding of its own (in the public code only ``cell_type``, until January 2026).
    """

    name: ClassVar[str] = "biolord"
    hyperparameters_type: ClassVar[type[Hyperparameters]] = BioLordHyperparameters
    train_sampling: ClassVar[str] = "disentanglement"
    loss_sums_genes: ClassVar[bool] = True

    def __init__(self, hyperparameters: BioLordHyperparameters, vocabulary: Vocabulary) -> None:
        super().__init__(hyperparameters, vocabulary)
        self.settings = hyperparameters
        genes, latent = len(vocabulary.genes), hyperparameters.latent_dim
        self.slices = covariate_slices(vocabulary)
        self.cell_encoder = self._mlp(genes, latent)
        self.perturbation_encoder = self._mlp(len(vocabulary.perturbations), latent)
        self.covariate_embeddings = nn.ParameterList(
            torch.randn(place.stop - place.start, latent) for place in self.slices.values()
        )
        self.decoder = self._mlp(latent * (2 + len(self.slices)), genes)

    def predict(self, batch: Batch) -> Tensor:
        """Decode the control cells' codes with the batch's perturbations and covariates."""
        return self._decode(self._code(batch, self.prediction_noise), self._embedded(batch), batch)

    def loss(self, batch: Batch) -> Tensor:
        """The reconstruction and the penalty on covariate embeddings."""
        terms = self.loss_terms(batch)
        return terms["reconstruction"] + self.settings.penalty_weight * terms["penalty"]

    def loss_terms(self, batch: Batch) -> dict[str, Tensor]:
        """The terms of the loss, unweighted: ``reconstruction`` and ``penalty``."""
        embedded = self._embedded(batch)
        rebuilt = self._decode(self._code(batch, self.noise), embedded, batch)
        squares = [at_least_single(values).square().sum() for values in embedded]
        return {
            "reconstruction": (at_least_single(rebuilt) - batch.target).square().sum(1).mean(),
            "penalty": torch.stack(squares).sum() if squares else rebuilt.new_zeros(()),
        }

    def _code(self, batch: Batch, noise: Noise | None) -> Tensor:
        code: Tensor = self.cell_encoder(batch.controls)
        return code if noise is None else code + self.settings.noise * noise.normal("code", code)

    def _embedded(self, batch: Batch) -> list[Tensor]:
        pairs = zip(self.covariate_embeddings, self.slices.values(), strict=True)
        return [batch.covariates[:, place] @ table for table, place in pairs]

    def _decode(self, code: Tensor, embedded: list[Tensor], batch: Batch) -> Tensor:
        effect = run_distinct(self.perturbation_encoder, [(batch.condition_ids, batch.perturbations)])
        decoded: Tensor = self.decoder(torch.cat([code, effect, *embedded], 1))
        return nn.functional.softplus(decoded) if self.settings.softplus_output else decoded

    def _mlp(self, n_in: int, n_out: int) -> nn.Sequential:
        settings = self.settings
        return mlp(n_in, settings.encoder_width, n_out, settings.n_layers, dropout=settings.dropout)
