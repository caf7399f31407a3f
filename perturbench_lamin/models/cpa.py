"""The compositional perturbation autoencoder, as PerturBench has it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import chain
from typing import Any, ClassVar, cast

import torch
from torch import Tensor, nn

from perturbench_lamin.loading.batches import Batch
from perturbench_lamin.loading.vocabulary import Vocabulary
from perturbench_lamin.models.adversary import Adversaries
from perturbench_lamin.models.base import PerturbationModel
from perturbench_lamin.models.covariates import covariate_slices
from perturbench_lamin.models.distinct import run_distinct
from perturbench_lamin.models.gaussian import Gaussian, GaussianEncoder
from perturbench_lamin.models.hyperparameters import GradientHyperparameters, Hyperparameters
from perturbench_lamin.models.inputs import input_width, inputs
from perturbench_lamin.models.mlp import at_least_single, block, mlp
from perturbench_lamin.models.noise import Noise


@dataclass(frozen=True)
class CPAHyperparameters(GradientHyperparameters):
    """Hyperparameters of :class:`CPA`, named as in the published configurations.

    Attributes:
        n_latent: width of the latent space.
        hidden_dim: hidden width of the encoder, the decoder and the networks of perturbations and covariates.
        n_layers_encoder: nonlinear blocks of encoder (after its first) and decoder.
        n_layers_pert_emb: nonlinear blocks of the perturbation's network.
        n_layers_covar_emb: nonlinear blocks of each covariate's network.
        dropout: probability of dropping a hidden unit, in the adversaries too.
        elementwise_affine: whether the norms of the perturbation's and the covariates' networks and of the adversaries
            have parameters. The encoder's always have, the decoder's never.
        variational: whether the basal code is sampled in training and drawn to N(0, 1).
        softplus_output: whether softplus makes the prediction positive.
        kl_weight: weight of the divergence of the basal code from N(0, 1).
        use_covariates: whether covariates have networks, and adversaries.
        use_adversary: whether adversaries keep perturbation and covariates out of the basal code.
        adv_classifier_hidden_dim: hidden width of the adversaries.
        adv_classifier_n_layers: their nonlinear blocks.
        adv_weight: weight of their cross-entropy, in both their own loss and, negative, in the model's.
        penalty_weight: weight of the penalty on their slope.
        adv_steps: after the warm-up, one batch of so many, the first of each epoch among them, trains the model and
            the others train the adversaries.
        n_warmup_epochs: the epochs 0 … n_warmup_epochs train the model alone; with 0 none does.
        generator_every_batch: whether the batches that train the adversaries train the model too.
        lr_schedule: whether both learning rates fall with ``val_loss``, as every model's; False leaves them as they
            are, where there are adversaries, as the reference does.
        embedding: a key of obsm whose rows stand in for expression as the encoder's input; empty for none.
        sample_prediction: whether predictions sample the basal code, with fixed noise, as the reference does with
            fresh noise; by default they take its mean.
    """

    lr: float = 1e-5
    wd: float = 1e-8
    n_latent: int = 128
    hidden_dim: int = 256
    n_layers_encoder: int = 3
    n_layers_pert_emb: int = 2
    n_layers_covar_emb: int = 1
    dropout: float = 0.1
    elementwise_affine: bool = True
    variational: bool = True
    softplus_output: bool = False
    kl_weight: float = 1.0
    use_covariates: bool = True
    use_adversary: bool = True
    adv_classifier_hidden_dim: int = 128
    adv_classifier_n_layers: int = 2
    adv_weight: float = 1.0
    penalty_weight: float = 10.0
    adv_steps: int = 2
    n_warmup_epochs: int = 5
    generator_every_batch: bool = False
    lr_schedule: bool = True
    embedding: str = ""
    sample_prediction: bool = False


class CPA(PerturbationModel):
    """x̂ = MLP(z + MLP(p) + Σ MLP(c)), z ~ q(z | x), adversaries against z (Lotfollahi et al., MSB 2023; generation v1).

    Trained to rebuild each cell from itself: mean over cells of Σ_genes (x − x̂)² + kl_weight · KL(q ‖ N(0, 1)), minus
    adv_weight times the adversaries' cross-entropy once the warm-up is over. Covariates with one value are left out.
    Asked for another perturbation, it encodes control cells and decodes with that perturbation.

    Where this departs from the public code: both learning rates follow their schedule, which is never stepped
    there (``lr_schedule``); ``val_loss`` is the error of counterfactual predictions, as for every model, and not a
    loss that falls when adversaries fail; without adversaries there is no adversary's step, which fails there;
    predictions take the mean of q. ``adv_steps`` means the same: published values were found with it.
    """

    name: ClassVar[str] = "cpa"
    hyperparameters_type: ClassVar[type[Hyperparameters]] = CPAHyperparameters
    train_sampling: ClassVar[str] = "disentanglement"
    loss_sums_genes: ClassVar[bool] = True
    architecture: ClassVar[int] = 2

    def __init__(self, hyperparameters: CPAHyperparameters, vocabulary: Vocabulary) -> None:
        super().__init__(hyperparameters, vocabulary)
        self.settings = settings = hyperparameters
        self.automatic_optimization = not settings.use_adversary
        self.slices = covariate_slices(vocabulary, least_values=2) if settings.use_covariates else {}
        n_tokens, latent, width = len(vocabulary.perturbations), settings.n_latent, settings.hidden_dim
        self.encoder = GaussianEncoder(self._encoder_body(input_width(vocabulary, settings.embedding)), width, latent)
        self.perturbation_encoder = self._mlp(n_tokens, latent, settings.n_layers_pert_emb)
        self.covariate_encoders = nn.ModuleList(
            self._mlp(place.stop - place.start, latent, settings.n_layers_covar_emb) for place in self.slices.values()
        )
        self.decoder = self._mlp(latent, len(vocabulary.genes), settings.n_layers_encoder, affine=False)
        if settings.use_adversary:
            self.adversaries = Adversaries(
                latent, settings.adv_classifier_hidden_dim, settings.adv_classifier_n_layers, n_tokens, self.slices,
                dropout=settings.dropout, affine=settings.elementwise_affine,
            )  # fmt: skip

    def predict(self, batch: Batch) -> Tensor:
        """Decode the control cells' basal codes with the batch's perturbations and covariates."""
        return self.decode(self._basal(self.encode(batch), self.prediction_noise), batch)

    def encode(self, batch: Batch) -> Gaussian:
        """The basal code of the batch's input cells."""
        code: Gaussian = self.encoder(inputs(batch, self.settings.embedding))
        return code

    def decode(self, basal: Tensor, batch: Batch) -> Tensor:
        """Cells of basal codes under the batch's perturbations and covariates (cells × genes)."""
        latent = basal + run_distinct(self.perturbation_encoder, [(batch.condition_ids, batch.perturbations)])
        for network, place in zip(self.covariate_encoders, self.slices.values(), strict=True):
            codes = [(batch.state_ids, batch.covariates[:, place])]
            latent = latent + run_distinct(cast(nn.Sequential, network), codes)
        decoded: Tensor = self.decoder(latent)
        return nn.functional.softplus(decoded) if self.settings.softplus_output else decoded

    def loss(self, batch: Batch) -> Tensor:
        """The reconstruction and the divergence, without adversaries."""
        return self._weighted(self.rebuild(batch)[0])

    def generator_parameters(self) -> list[nn.Parameter]:
        """All but the adversaries' parameters."""
        return [parameter for name, parameter in self.named_parameters() if not name.startswith("adversaries.")]

    def configure_optimizers(self) -> Any:
        """One Adam for the model, another for the adversaries, each with its schedule."""
        own = self.adam(self.generator_parameters())
        if not self.settings.use_adversary:
            return own
        both = own, self.adam(self.adversaries.parameters())
        # Lightning warns of a metric to watch where the model steps its optimisers itself.
        return [pair["optimizer"] for pair in both], [pair["lr_scheduler"]["scheduler"] for pair in both]

    def on_train_epoch_end(self) -> None:
        """Step the schedules, unless they are to stand still as in the reference."""
        if self.settings.lr_schedule or not self.settings.use_adversary:
            super().on_train_epoch_end()

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor | None:
        """Train the model, the adversaries, or both on one batch, as the schedule says."""
        if not self.settings.use_adversary:
            return super().training_step(batch, batch_idx)
        warm = self.settings.n_warmup_epochs > 0 and self.current_epoch <= self.settings.n_warmup_epochs
        adversaries_turn = not warm and batch_idx % self.settings.adv_steps != 0
        loss = None
        if not adversaries_turn or self.settings.generator_every_batch:
            loss = self.generator_step(batch, adversarial=not warm)
        return self.adversary_step(batch) if adversaries_turn else loss

    def generator_step(self, batch: Batch, *, adversarial: bool) -> Tensor:
        """Update all but the adversaries; ``adversarial``: against them. Returns the loss."""
        optimizer: Any = self.optimizers()
        terms, basal = self.rebuild(batch)
        loss = self._weighted(terms)
        self.log_train_loss(loss, batch)
        if adversarial:
            cross_entropies = self.adversaries.cross_entropies(self.adversaries.logits(basal), batch)
            loss = loss - self.settings.adv_weight * cross_entropies.sum()
        self._update(optimizer[0], self.weighted(loss, batch), self.generator_parameters())
        return loss

    def adversary_step(self, batch: Batch) -> Tensor:
        """Update the adversaries alone, on the basal codes as they are. Returns their loss."""
        optimizer: Any = self.optimizers()
        with torch.no_grad():
            basal = self._basal(self.encode(batch), self.noise)
        basal.requires_grad_()
        terms = self.adversary_terms(basal, batch)
        cross_entropy = terms["cross_entropies"].sum()
        self.log_mean("train_adversary_loss", cross_entropy.detach(), batch)
        loss = self.settings.adv_weight * cross_entropy + self.settings.penalty_weight * terms["penalties"].sum()
        self._update(optimizer[1], self.weighted(loss, batch), self.adversaries.parameters())
        return loss

    def adversary_terms(self, basal: Tensor, batch: Batch) -> dict[str, Tensor]:
        """What the adversaries lower, unweighted: ``cross_entropies`` and ``penalties``, one for each of them."""
        logits = self.adversaries.logits(basal)
        return {
            "cross_entropies": self.adversaries.cross_entropies(logits, batch),
            "penalties": self.adversaries.penalties(logits, basal),
        }

    def rebuild(self, batch: Batch) -> tuple[dict[str, Tensor], Tensor]:
        """The terms of the model's loss, unweighted, ``reconstruction`` and ``kl``, and the basal codes they took."""
        code = self.encode(batch)
        basal = self._basal(code, self.noise)
        rebuilt = at_least_single(self.decode(basal, batch))
        terms = {"reconstruction": (rebuilt - batch.target).square().sum(1).mean()}
        if self.settings.variational:
            terms["kl"] = code.divergence().mean()
        return terms, basal

    def _update(self, optimizer: Any, loss: Tensor, parameters: Iterable[nn.Parameter]) -> None:
        optimizer.zero_grad()
        self.manual_backward(loss, inputs=list(parameters))
        optimizer.step()

    def _weighted(self, terms: dict[str, Tensor]) -> Tensor:
        loss = terms["reconstruction"]
        return loss + self.settings.kl_weight * terms["kl"] if "kl" in terms else loss

    def _basal(self, code: Gaussian, noise: Noise | None) -> Tensor:
        return code.draw(noise if self.settings.variational else None, "basal")

    def _encoder_body(self, n_in: int) -> nn.Sequential:
        """1 + n blocks: unlike the first linear layer of :func:`~.mlp.mlp`, this one too has norm and ReLU."""
        settings = self.settings
        widths = [n_in, *[settings.hidden_dim] * settings.n_layers_encoder]
        blocks = (block(width, settings.hidden_dim, dropout=settings.dropout, affine=True) for width in widths)
        return nn.Sequential(*chain.from_iterable(blocks))

    def _mlp(self, n_in: int, n_out: int, n_layers: int, affine: bool | None = None) -> nn.Sequential:
        settings = self.settings
        affine = settings.elementwise_affine if affine is None else affine
        return mlp(n_in, settings.hidden_dim, n_out, n_layers, dropout=settings.dropout, affine=affine)
