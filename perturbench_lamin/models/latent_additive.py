"""The latent additive model of PerturBench."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor, nn

from perturbench_lamin.loading.batches import Batch
from perturbench_lamin.loading.vocabulary import Vocabulary
from perturbench_lamin.models.base import PerturbationModel
from perturbench_lamin.models.covariates import join
from perturbench_lamin.models.distinct import run_distinct
from perturbench_lamin.models.hyperparameters import GradientHyperparameters, Hyperparameters
from perturbench_lamin.models.inputs import input_width, inputs
from perturbench_lamin.models.mlp import at_least_single, mlp
from perturbench_lamin.models.relaxed_bernoulli import sample_mask


@dataclass(frozen=True)
class LatentAdditiveHyperparameters(GradientHyperparameters):
    """Hyperparameters of :class:`LatentAdditive`; the three perceptrons share depth, width and dropout.

    Attributes:
        n_layers: nonlinear blocks of each perceptron (generation v1, see :func:`~.mlp.mlp`).
        encoder_width: hidden width.
        latent_dim: width of the latent space.
        dropout: probability of dropping a hidden unit.
        inject_covariates_encoder: whether the control encoder sees the covariates.
        inject_covariates_decoder: whether the decoder sees them.
        softplus_output: whether softplus makes the prediction positive.
        sparse_mask: whether a mask of 0 and 1 that the perturbation decides picks dimensions of its code: sampled in
            training (see :func:`~.relaxed_bernoulli.sample_mask`), its mean in prediction. The network that decides
            it has no dropout.
        sample_prediction: whether predictions sample the mask, with fixed noise, as the reference does with fresh
            noise; by default they take its mean.
        embedding: a key of obsm whose rows, those of the control cells, stand in for their expression as the input;
            the output stays in gene space. Empty for none.
    """

    lr: float = 6.72e-5
    wd: float = 7.90e-9
    n_layers: int = 3
    encoder_width: int = 3072
    latent_dim: int = 160
    dropout: float = 0.1
    inject_covariates_encoder: bool = True
    inject_covariates_decoder: bool = True
    softplus_output: bool = True
    sparse_mask: bool = False
    sample_prediction: bool = False
    embedding: str = ""


class LatentAdditive(PerturbationModel):
    """z = MLP([x_control; c]) + MLP(p), x̂ = softplus(MLP([z; c])) (PerturBench, arXiv 2408.10609)."""

    name: ClassVar[str] = "latent_additive"
    hyperparameters_type: ClassVar[type[Hyperparameters]] = LatentAdditiveHyperparameters

    def __init__(self, hyperparameters: LatentAdditiveHyperparameters, vocabulary: Vocabulary) -> None:
        super().__init__(hyperparameters, vocabulary)
        self.settings = settings = hyperparameters
        genes, latent, covariates = len(vocabulary.genes), settings.latent_dim, vocabulary.n_covariates
        cell = input_width(vocabulary, settings.embedding)
        self.control_encoder = self._mlp(cell + covariates * settings.inject_covariates_encoder, latent)
        self.perturbation_encoder = self._mlp(len(vocabulary.perturbations), latent)
        if settings.sparse_mask:
            # Dropout of 0 rather than none: the layers keep the numbers that checkpoints know them by.
            self.mask_encoder = self._mlp(len(vocabulary.perturbations), latent, dropout=0.0)
        self.decoder = self._mlp(latent + covariates * settings.inject_covariates_decoder, genes)

    def predict(self, batch: Batch) -> Tensor:
        """Encode the control, add the code of the perturbation, decode."""
        cells = join(inputs(batch, self.settings.embedding), batch.covariates, self.settings.inject_covariates_encoder)
        latent = self.control_encoder(cells) + self._effect(batch)
        decoded = self.decoder(join(latent, batch.covariates, self.settings.inject_covariates_decoder))
        return nn.functional.softplus(decoded) if self.settings.softplus_output else decoded

    def _effect(self, batch: Batch) -> Tensor:
        codes = [(batch.condition_ids, batch.perturbations)]
        code: Tensor = run_distinct(self.perturbation_encoder, codes)
        if not self.settings.sparse_mask:
            return code
        logits = at_least_single(run_distinct(self.mask_encoder, codes))
        noise = self.noise if self.training else self.prediction_noise
        return code * (logits.sigmoid() if noise is None else sample_mask(logits, noise.uniform("mask", logits)))

    def _mlp(self, n_in: int, n_out: int, dropout: float | None = None) -> nn.Sequential:
        settings = self.settings
        dropout = settings.dropout if dropout is None else dropout
        return mlp(n_in, settings.encoder_width, n_out, settings.n_layers, dropout=dropout)
