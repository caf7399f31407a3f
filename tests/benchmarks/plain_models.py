"""The models of the paper in plain torch: what the formulas say for every cell, with Adam as it comes.

The yardstick of ``bench_training.py``, and held to the package's models in ``tests/models/test_plain_models.py``.
Parameters stand in the order of the package's models, so that weights can be copied.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.distributions import Bernoulli, Normal, kl_divergence
from torch.nn.functional import cross_entropy, mse_loss, softplus

from perturbench_lamin.loading.vocabulary import Vocabulary


class Cells(NamedTuple):
    """A dense batch: cells to predict, cells to start from, multi-hot tokens, one-hot covariates side by side."""

    target: Tensor
    x: Tensor
    p: Tensor
    c: Tensor


class Plain(nn.Module):
    """A model with one optimiser; a subclass has its networks and its loss.

    Attributes:
        sampling: the batches it trains on: ``control_matched``, ``disentanglement``, or ``perturbed`` cells without
            controls.
    """

    sampling = "control_matched"

    def __init__(self, settings: Any, vocabulary: Vocabulary) -> None:
        super().__init__()
        self.settings, self.genes = settings, len(vocabulary.genes)
        self.tokens, self.widths = len(vocabulary.perturbations), [len(v) for v in vocabulary.covariates.values()]

    def loss(self, cells: Cells) -> Tensor:
        """What training lowers."""
        raise NotImplementedError

    def start(self) -> None:
        """Make the optimisers."""
        self.optimizer = self.adam(self)

    def step(self, cells: Cells, number: int, *, warm: bool = False) -> float:
        """Train on batch ``number`` of an epoch; ``warm``: an epoch of the warm-up, if the model has one."""
        self.optimizer.zero_grad()
        loss = self.loss(cells)
        loss.backward()
        self.optimizer.step()
        return loss.item()

    def adam(self, module: nn.Module) -> torch.optim.Adam:
        """An optimiser of a part."""
        return torch.optim.Adam(module.parameters(), lr=self.settings.lr, weight_decay=self.settings.wd)

    def positive(self, x: Tensor) -> Tensor:
        """Softplus, where the model ends with it."""
        return softplus(x) if self.settings.softplus_output else x


def perceptron(
    n_in: int, hidden: int, n_out: int, blocks: int, dropout: float | None = None, affine: bool = False
) -> nn.Sequential:
    """Linear, then blocks of linear, norm, ReLU and dropout, then linear."""
    layers = [nn.Linear(n_in, hidden)]
    return nn.Sequential(*layers, *nonlinear([hidden] * blocks, hidden, dropout, affine), nn.Linear(hidden, n_out))


def nonlinear(widths: list[int], hidden: int, dropout: float | None, affine: bool) -> list[nn.Module]:
    """For each width a block of linear, norm, ReLU and dropout."""
    layers: list[nn.Module] = []
    for width in widths:
        layers += [nn.Linear(width, hidden), nn.LayerNorm(hidden, elementwise_affine=affine), nn.ReLU()]
        layers += [] if dropout is None else [nn.Dropout(dropout)]
    return layers


class Encoder(nn.Module):
    """Mean and standard deviation of a normal code: a network and two heads."""

    def __init__(self, body: nn.Sequential, hidden: int, n_out: int) -> None:
        super().__init__()
        self.body = body
        self.mean, self.log_variance = nn.Linear(hidden, n_out), nn.Linear(hidden, n_out)

    def forward(self, x: Tensor) -> Normal:
        hidden = self.body(x)
        deviation = torch.exp(0.5 * self.log_variance(hidden)).clamp(min=1e-8)
        return Normal(self.mean(hidden), deviation, validate_args=False)


def sample(code: Normal) -> Tensor:
    """Mean plus standard deviation times noise."""
    return code.mean + code.stddev * torch.randn_like(code.mean)


class PlainLinear(Plain):
    """softplus(x + W [p; c] + b)."""

    def __init__(self, settings: Any, vocabulary: Vocabulary) -> None:
        super().__init__(settings, vocabulary)
        self.shift = nn.Linear(self.tokens + sum(self.widths) * settings.inject_covariates, self.genes)

    def loss(self, cells: Cells) -> Tensor:
        seen = torch.cat([cells.p, cells.c], 1) if self.settings.inject_covariates else cells.p
        return mse_loss(self.positive(cells.x + self.shift(seen)), cells.target)


class PlainLatentAdditive(Plain):
    """softplus(MLP([MLP([x; c]) + MLP(p); c]))."""

    def __init__(self, settings: Any, vocabulary: Vocabulary) -> None:
        super().__init__(settings, vocabulary)
        width, latent, depth, dropout = settings.encoder_width, settings.latent_dim, settings.n_layers, settings.dropout
        covariates = sum(self.widths)
        n_in = self.genes + covariates * settings.inject_covariates_encoder
        self.of_cell = perceptron(n_in, width, latent, depth, dropout)
        self.of_perturbation = perceptron(self.tokens, width, latent, depth, dropout)
        n_in = latent + covariates * settings.inject_covariates_decoder
        self.decoder = perceptron(n_in, width, self.genes, depth, dropout)

    def loss(self, cells: Cells) -> Tensor:
        settings = self.settings
        x = torch.cat([cells.x, cells.c], 1) if settings.inject_covariates_encoder else cells.x
        z = self.of_cell(x) + self.of_perturbation(cells.p)
        z = torch.cat([z, cells.c], 1) if settings.inject_covariates_decoder else z
        return mse_loss(self.positive(self.decoder(z)), cells.target)


class PlainDecoderOnly(Plain):
    """softplus(MLP([p; c])), or of one of the two, of every cell."""

    sampling = "perturbed"

    def __init__(self, settings: Any, vocabulary: Vocabulary) -> None:
        super().__init__(settings, vocabulary)
        n_in = self.tokens * settings.use_perturbations + sum(self.widths) * settings.use_covariates
        self.decoder = perceptron(n_in, settings.encoder_width, self.genes, settings.n_layers)

    def loss(self, cells: Cells) -> Tensor:
        seen = [cells.p] * self.settings.use_perturbations + [cells.c] * self.settings.use_covariates
        return mse_loss(self.positive(self.decoder(torch.cat(seen, 1))), cells.target)


class PlainCPA(Plain):
    """MLP(z + MLP(p) + Σ MLP(c)), z ~ q(z | x), and classifiers of z that are trained in turn with the model."""

    sampling = "disentanglement"

    def __init__(self, settings: Any, vocabulary: Vocabulary) -> None:
        super().__init__(settings, vocabulary)
        self.widths_used = [width for width in self.widths if width > 1] * settings.use_covariates
        width, latent, depth = settings.hidden_dim, settings.n_latent, settings.n_layers_encoder
        options = {"dropout": settings.dropout, "affine": settings.elementwise_affine}
        self.model = nn.Module()
        body = nonlinear([self.genes] + [width] * depth, width, settings.dropout, affine=True)
        self.model.encoder = Encoder(nn.Sequential(*body), width, latent)
        self.model.of_perturbation = perceptron(self.tokens, width, latent, settings.n_layers_pert_emb, **options)
        self.model.of_covariates = nn.ModuleList(
            perceptron(values, width, latent, settings.n_layers_covar_emb, **options) for values in self.widths_used
        )
        self.model.decoder = perceptron(latent, width, self.genes, depth, settings.dropout)
        width, depth = settings.adv_classifier_hidden_dim, settings.adv_classifier_n_layers
        self.classifiers = nn.ModuleList(
            perceptron(latent, width, values, depth, **options)
            for values in [self.tokens, *self.widths_used] * settings.use_adversary
        )

    def start(self) -> None:
        """One optimiser of the model, one of the classifiers."""
        self.optimizer = self.adam(self.model)
        if self.settings.use_adversary:
            self.adversary_optimizer = self.adam(self.classifiers)

    def step(self, cells: Cells, number: int, *, warm: bool = False) -> float:
        """Train the model, or the classifiers in all but one of ``adv_steps`` batches after the warm-up."""
        warm = warm or not self.settings.use_adversary
        if not warm and number % self.settings.adv_steps != 0:
            return self.adversary_step(cells)
        self.optimizer.zero_grad()
        loss, basal = self.rebuild(cells)
        if not warm:
            loss = loss - self.settings.adv_weight * self.cross_entropy(basal, cells)[0]
        loss.backward()
        self.optimizer.step()
        return loss.item()

    def adversary_step(self, cells: Cells) -> float:
        """Train the classifiers, with a penalty on their slope."""
        self.adversary_optimizer.zero_grad()
        with torch.no_grad():
            basal = sample(self.model.encoder(cells.x))
        basal.requires_grad_()
        error, logits = self.cross_entropy(basal, cells)
        slopes = [torch.autograd.grad(each.sum(), basal, create_graph=True)[0] for each in logits]
        penalty = sum((slope**2).mean() for slope in slopes)
        loss = self.settings.adv_weight * error + self.settings.penalty_weight * penalty
        loss.backward()
        self.adversary_optimizer.step()
        return loss.item()

    def loss(self, cells: Cells) -> Tensor:
        return self.rebuild(cells)[0]

    def rebuild(self, cells: Cells) -> tuple[Tensor, Tensor]:
        """The error of the reconstruction and the divergence of the code, and the sampled code."""
        code = self.model.encoder(cells.x)
        basal = sample(code)
        z = basal + self.model.of_perturbation(cells.p)
        for network, c in zip(self.model.of_covariates, self.covariates(cells), strict=True):
            z = z + network(c)
        error = ((self.positive(self.model.decoder(z)) - cells.target) ** 2).sum(1).mean()
        divergence = kl_divergence(code, Normal(torch.zeros(()), torch.ones(()))).sum(1).mean()
        return error + self.settings.kl_weight * divergence, basal

    def covariates(self, cells: Cells) -> list[Tensor]:
        """The one-hot code of each covariate that has several values."""
        return [c for c in cells.c.split(self.widths, 1) if c.shape[1] > 1] * self.settings.use_covariates

    def cross_entropy(self, basal: Tensor, cells: Cells) -> tuple[Tensor, list[Tensor]]:
        """Summed over classifiers, and their logits."""
        logits = [network(basal) for network in self.classifiers]
        truths = [cells.p, *self.covariates(cells)]
        return torch.stack([cross_entropy(*pair) for pair in zip(logits, truths, strict=True)]).sum(), logits


class PlainSAMSVAE(Plain):
    """softplus(MLP([z + z_p; c])), z ~ q(z | x, c, z_p), z_p = Σ_tokens m_t ⊙ e_t, e_t ~ q(e | m_t, p)."""

    sampling = "disentanglement"

    def __init__(self, settings: Any, vocabulary: Vocabulary) -> None:
        super().__init__(settings, vocabulary)
        width, latent, covariates = settings.hidden_dim_x, settings.latent_dim, sum(self.widths)
        self.masked = not settings.disable_sparsity
        if self.masked:
            self.mask_logits = nn.Parameter(-torch.ones(self.tokens, latent))
        body = perceptron(latent * self.masked + self.tokens, width, width, settings.n_layers_encoder_e)
        self.effects = Encoder(body, width, latent)
        n_in = self.genes + covariates * settings.inject_covariates_encoder + latent
        self.encoder = Encoder(perceptron(n_in, width, width, settings.n_layers_encoder_x), width, latent)
        n_in = latent + covariates * settings.inject_covariates_decoder
        self.decoder = perceptron(n_in, width, self.genes, settings.n_layers_decoder, settings.dropout)
        self.token_cells = torch.ones(self.tokens)

    def loss(self, cells: Cells) -> Tensor:
        settings, size = self.settings, len(cells.x)
        mask = self.mask() if self.masked else torch.ones(self.tokens, settings.latent_dim)
        cell, token = cells.p.nonzero(as_tuple=True)
        seen = torch.cat([mask[token], cells.p[cell]], 1) if self.masked else cells.p[cell]
        of_effect = self.effects(seen)
        effect = of_effect.mean if settings.disable_e_dist else sample(of_effect)
        shift = torch.zeros(size, settings.latent_dim).index_add(0, cell, mask[token] * effect)
        code = self.encoder(torch.cat([cells.x, *[cells.c] * settings.inject_covariates_encoder, shift], 1))
        basal = sample(code)
        z = torch.cat([basal + shift, *[cells.c] * settings.inject_covariates_decoder], 1)
        loss = ((self.positive(self.decoder(z)) - cells.target) ** 2).sum(1).mean()
        loss = loss + self.log_ratio(code, basal).mean()
        if not settings.disable_e_dist:
            known = (cells.p @ self.token_cells)[cell]
            loss = loss + (self.log_ratio(of_effect, effect) / known).sum() / size
        if not self.masked:
            return loss
        prior = torch.full_like(mask, settings.mask_prior_probability)
        ratio = Bernoulli(logits=self.mask_logits, validate_args=False).log_prob(mask)
        ratio = ratio - Bernoulli(prior, validate_args=False).log_prob(mask)
        return loss + (ratio.sum(1) * cells.p.sum(0) / self.token_cells).sum() / size

    def mask(self) -> Tensor:
        """Samples of 0 and 1 with the gradient of their relaxation at temperature 0.5."""
        least = torch.finfo(torch.float32).eps
        u = torch.rand_like(self.mask_logits).clamp(least, 1 - least)
        soft = torch.sigmoid((self.mask_logits + torch.log(u) - torch.log(1 - u)) / 0.5)
        return (soft > 0.5).float() + soft - soft.detach()

    @staticmethod
    def log_ratio(code: Normal, value: Tensor) -> Tensor:
        """log q(value) − log N(value; 0, 1), summed over dimensions."""
        prior = Normal(torch.zeros(()), torch.ones(()))
        return (code.log_prob(value) - prior.log_prob(value)).sum(1)


class PlainBioLord(Plain):
    """softplus(MLP([MLP(x) + noise; MLP(p); an embedding of each covariate]))."""

    sampling = "disentanglement"

    def __init__(self, settings: Any, vocabulary: Vocabulary) -> None:
        super().__init__(settings, vocabulary)
        width, latent, depth, dropout = settings.encoder_width, settings.latent_dim, settings.n_layers, settings.dropout
        self.of_cell = perceptron(self.genes, width, latent, depth, dropout)
        self.of_perturbation = perceptron(self.tokens, width, latent, depth, dropout)
        self.of_covariates = nn.ModuleList(nn.Embedding(values, latent) for values in self.widths)
        self.decoder = perceptron(latent * (2 + len(self.widths)), width, self.genes, depth, dropout)

    def loss(self, cells: Cells) -> Tensor:
        code = self.of_cell(cells.x)
        pairs = zip(self.of_covariates, cells.c.split(self.widths, 1), strict=True)
        embedded = [table(c.argmax(1)) for table, c in pairs]
        noisy = code + self.settings.noise * torch.randn_like(code)
        rebuilt = self.positive(self.decoder(torch.cat([noisy, self.of_perturbation(cells.p), *embedded], 1)))
        penalty = sum((values**2).sum() for values in embedded)
        return ((rebuilt - cells.target) ** 2).sum(1).mean() + self.settings.penalty_weight * penalty


PLAIN: dict[str, type[Plain]] = {
    "linear": PlainLinear,
    "latent_additive": PlainLatentAdditive,
    "decoder_only": PlainDecoderOnly,
    "cpa": PlainCPA,
    "sams_vae": PlainSAMSVAE,
    "biolord": PlainBioLord,
}
"""The package's name → its plain twin: every model that gradients fit. The baselines are closed forms."""


def twin(name: str, settings: Any, vocabulary: Vocabulary, token_cells: Any = None) -> Plain:
    """A plain model.

    Args:
        name: a key of :data:`PLAIN`.
        settings: the package's hyperparameters.
        vocabulary: what the training cells contain.
        token_cells: training cells with each token; SAMS-VAE needs it.
    """
    model = PLAIN[name](settings, vocabulary)
    if isinstance(model, PlainSAMSVAE) and token_cells is not None:
        model.token_cells = torch.as_tensor(token_cells, dtype=torch.float32)
    return model


def copy_weights(source: nn.Module, target: nn.Module) -> None:
    """Copy parameters one after the other.

    Raises:
        ValueError: numbers or shapes differ.
    """
    with torch.no_grad():
        for one, other in zip(source.parameters(), target.parameters(), strict=True):
            if one.shape != other.shape:
                raise ValueError(f"Shapes differ: {tuple(one.shape)} and {tuple(other.shape)}")
            other.copy_(one)
