"""SAMS-VAE, the sparse additive mechanism shift autoencoder, as PerturBench has it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from perturbench_lamin.loading.batches import Batch
from perturbench_lamin.loading.datamodule import PerturbationData
from perturbench_lamin.loading.vocabulary import Vocabulary
from perturbench_lamin.models.base import PerturbationModel
from perturbench_lamin.models.covariates import join
from perturbench_lamin.models.gaussian import Gaussian, GaussianEncoder
from perturbench_lamin.models.hyperparameters import GradientHyperparameters, Hyperparameters
from perturbench_lamin.models.mlp import at_least_single, mlp
from perturbench_lamin.models.noise import Noise
from perturbench_lamin.models.relaxed_bernoulli import log_probability, sample_mask

LEAST_DEVIATION = 1e-8
"""What the standard deviations of codes and effects are at least."""


@dataclass(frozen=True)
class SAMSVAEHyperparameters(GradientHyperparameters):
    """Hyperparameters of :class:`SAMSVAE`, named as in the published configurations.

    Attributes:
        n_layers_encoder_x: nonlinear blocks of the cell's encoder.
        n_layers_encoder_e: nonlinear blocks of the effects' encoder.
        n_layers_decoder: nonlinear blocks of the decoder.
        hidden_dim_x: hidden width of all three.
        latent_dim: width of the latent space.
        dropout: probability of dropping a hidden unit of the decoder; the encoders have none.
        mask_prior_probability: prior probability that a perturbation shifts a dimension.
        inject_covariates_encoder: whether the cell's encoder sees the covariates.
        inject_covariates_decoder: whether the decoder sees them.
        softplus_output: whether softplus makes the prediction positive.
        disable_sparsity: no masks: every perturbation shifts every dimension.
        disable_e_dist: effects are their mean, without a distribution. Both together are SAMS-VAE (S).
        generative_counterfactual: whether a prediction takes the basal code from its prior N(0, 1) rather than from
            the posterior of the control cell.
        sample_prediction: whether predictions sample masks' and effects' and the basal code's distributions, with
            fixed noise; by default they take the means, so that with ``generative_counterfactual`` all cells of a
            condition and state are predicted alike.
    """

    lr: float = 8.18e-5
    wd: float = 2.42e-5
    n_layers_encoder_x: int = 5
    n_layers_encoder_e: int = 3
    n_layers_decoder: int = 4
    hidden_dim_x: int = 2332
    latent_dim: int = 55
    dropout: float = 0.2
    mask_prior_probability: float = 0.01
    inject_covariates_encoder: bool = True
    inject_covariates_decoder: bool = True
    softplus_output: bool = True
    disable_sparsity: bool = False
    disable_e_dist: bool = False
    generative_counterfactual: bool = False
    sample_prediction: bool = False


@dataclass(frozen=True)
class _Effects:
    """The effects of the active tokens of a batch, one row for each (cell, token).

    Attributes:
        cells: the row's cell in the batch.
        tokens: the row's token.
        code: distribution of the effect.
        values: the effect (sampled, or its mean).
        masks: every token's mask (tokens × dimensions).
    """

    cells: Tensor
    tokens: Tensor
    code: Gaussian
    values: Tensor
    masks: Tensor

    def shift(self, n_cells: int) -> Tensor:
        """z_p: for each cell the sum of its tokens' masked effects (cells × dimensions)."""
        masked = self.masks[self.tokens] * self.values
        return masked.new_zeros(n_cells, masked.shape[1]).index_add(0, self.cells, masked)


class SAMSVAE(PerturbationModel):
    """x̂ = softplus(MLP([z + z_p; c])), z_p = Σ_tokens m_t ⊙ e_t (Bereket & Karaletsos, NeurIPS 2023; generation v1).

    Masks m_t ~ Bernoulli(σ(M_t)), relaxed with straight-through gradients; effects e_t ~ q(e | m_t, p) for each
    active token of each cell; basal code z ~ q(z | x, c, z_p). Trained to rebuild each cell from itself: the sum of

    - mean over cells of Σ_genes (x − x̂)²;
    - mean over cells of log q(z) − log N(z; 0, 1), at the sample;
    - mean over cells of Σ_tokens (log q(e) − log N(e; 0, 1)) / Σ_tokens N_t, N_t training cells having token t;
    - 1/B · Σ_t (log q(m_t) − log p(m_t)) · n_t / N_t, n_t of the batch's B cells having token t.

    A control, without tokens, adds nothing to the third. Both encoders are a perceptron of generation v1, without
    dropout, whose h outputs two heads turn into mean and log variance. Asked for another perturbation, it encodes
    control cells as if they had its shift.
    """

    name: ClassVar[str] = "sams_vae"
    hyperparameters_type: ClassVar[type[Hyperparameters]] = SAMSVAEHyperparameters
    train_sampling: ClassVar[str] = "disentanglement"
    loss_sums_genes: ClassVar[bool] = True
    architecture: ClassVar[int] = 2
    token_cells: Tensor

    def __init__(self, hyperparameters: SAMSVAEHyperparameters, vocabulary: Vocabulary) -> None:
        super().__init__(hyperparameters, vocabulary)
        self.settings = settings = hyperparameters
        n_tokens, latent, covariates = len(vocabulary.perturbations), settings.latent_dim, vocabulary.n_covariates
        if not settings.disable_sparsity:
            self.mask_logits = nn.Parameter(torch.full((n_tokens, latent), -1.0))
        self.effect_encoder = self._encoder(
            n_tokens + latent * (not settings.disable_sparsity), settings.n_layers_encoder_e
        )
        width = len(vocabulary.genes) + covariates * settings.inject_covariates_encoder + latent
        self.cell_encoder = self._encoder(width, settings.n_layers_encoder_x)
        self.decoder = mlp(
            latent + covariates * settings.inject_covariates_decoder, settings.hidden_dim_x, len(vocabulary.genes),
            settings.n_layers_decoder, dropout=settings.dropout,
        )  # fmt: skip
        self.register_buffer("token_cells", torch.ones(n_tokens))

    def on_fit_start(self) -> None:
        """Count the training cells of each token."""
        module = self.trainer.datamodule
        assert isinstance(module, PerturbationData)
        self.token_cells.copy_(torch.from_numpy(module.train.cells_with_token()))

    def predict(self, batch: Batch) -> Tensor:
        """Decode the control cells' basal codes, or the prior's, shifted by the batch's perturbations."""
        noise = self.prediction_noise
        shift = self._effects(batch, self._masks(noise), noise).shift(len(batch))
        return self._decode(self._prediction_basal(batch, shift, noise) + shift, batch)

    def loss(self, batch: Batch) -> Tensor:
        """The negative evidence bound, estimated at one sample."""
        return torch.stack(list(self.loss_terms(batch).values())).sum()

    def loss_terms(self, batch: Batch) -> dict[str, Tensor]:
        """The terms of the loss: ``reconstruction``, ``kl_z``, and ``kl_e`` and ``kl_m`` unless disabled."""
        masks = self._masks(self.noise)
        effects = self._effects(batch, masks, self.noise)
        shift = effects.shift(len(batch))
        code = self._encode(batch, shift)
        basal = code.draw(self.noise, "basal")
        rebuilt = at_least_single(self._decode(basal + shift, batch))
        terms = {
            "reconstruction": (rebuilt - batch.target).square().sum(1).mean(),
            "kl_z": code.log_ratio(basal).mean(),
        }
        if not self.settings.disable_e_dist:
            terms["kl_e"] = self._effects_term(effects, batch)
        if not self.settings.disable_sparsity:
            terms["kl_m"] = self._masks_term(masks, batch)
        return terms

    def _effects_term(self, effects: _Effects, batch: Batch) -> Tensor:
        cells = (batch.perturbations @ self.token_cells).clamp(min=1)[effects.cells]
        return (effects.code.log_ratio(effects.values) / cells).sum() / len(batch)

    def _masks_term(self, masks: Tensor, batch: Batch) -> Tensor:
        prior = torch.full_like(masks, self.settings.mask_prior_probability).logit()
        densities = log_probability(masks, self.mask_logits) - log_probability(masks, prior)
        return (densities * batch.perturbations.sum(0) / self.token_cells.clamp(min=1)).sum() / len(batch)

    def _masks(self, noise: Noise | None) -> Tensor:
        """Every token's mask, sampled, or its probability where there is no noise (tokens × dimensions)."""
        if self.settings.disable_sparsity:
            return self.token_cells.new_ones(len(self.token_cells), self.settings.latent_dim)
        logits = self.mask_logits
        return logits.sigmoid() if noise is None else sample_mask(logits, noise.uniform("mask", logits))

    def _effects(self, batch: Batch, masks: Tensor, noise: Noise | None) -> _Effects:
        """The effects, sampled, or their means where there is no noise."""
        cells, tokens = batch.perturbations.nonzero(as_tuple=True)
        seen = [(batch.condition_ids[cells], batch.perturbations[cells])]
        if not self.settings.disable_sparsity:
            seen = [(tokens, masks[tokens]), *seen]
        code = self.effect_encoder.of_distinct(seen)
        values = code.draw(None if self.settings.disable_e_dist else noise, "effects")
        return _Effects(cells, tokens, code, values, masks)

    def _encode(self, batch: Batch, shift: Tensor) -> Gaussian:
        cells = join(batch.controls, batch.covariates, self.settings.inject_covariates_encoder)
        code: Gaussian = self.cell_encoder(torch.cat([cells, shift], dim=1))
        return code

    def _prediction_basal(self, batch: Batch, shift: Tensor, noise: Noise | None) -> Tensor:
        if self.settings.generative_counterfactual:
            return torch.zeros_like(shift) if noise is None else noise.normal("basal", shift)
        return self._encode(batch, shift).draw(noise, "basal")

    def _decode(self, latent: Tensor, batch: Batch) -> Tensor:
        decoded: Tensor = self.decoder(join(latent, batch.covariates, self.settings.inject_covariates_decoder))
        return nn.functional.softplus(decoded) if self.settings.softplus_output else decoded

    def _encoder(self, n_in: int, n_layers: int) -> GaussianEncoder:
        hidden = self.settings.hidden_dim_x
        body = mlp(n_in, hidden, hidden, n_layers)
        return GaussianEncoder(body, hidden, self.settings.latent_dim, least_deviation=LEAST_DEVIATION)
