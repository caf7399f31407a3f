from __future__ import annotations

from dataclasses import asdict, replace

import numpy as np
import pytest
import torch
from lightning import Callback
from model_tools import SMALL, fitted, fresh, module
from plain_networks import cpa_encoder_size, mlp_size, n_parameters, numbers, plain_encoder, plain_mlp, softplus
from tiny_curated import Tiny, random_split

from perturbench_lamin.loading.batches import Batch, BatchLoader, Disentanglement
from perturbench_lamin.training.surroundings import quiet

DATA = Tiny(cell_types=("K562", "RPE1", "HepG2")).data()  # the treatment has one value, so it is left out
SPLIT = random_split(DATA)
VALUES = SMALL["cpa"]


def train_batch(size: int = 40, seed: int = 0) -> Batch:
    train = module(DATA, SPLIT, "cpa").train
    return next(iter(BatchLoader(Disentanglement(train), batch_size=size, seed=seed, shuffle=True)))


def randomized(model):
    """The norms' weights are no longer 1 and 0."""
    for layer in model.modules():
        if isinstance(layer, torch.nn.LayerNorm) and layer.elementwise_affine:
            torch.nn.init.normal_(layer.weight)
            torch.nn.init.normal_(layer.bias)
    return model


@pytest.mark.parametrize("use_adversary", [True, False])
@pytest.mark.parametrize("use_covariates", [True, False])
@pytest.mark.parametrize("affine", [True, False])
def test_parameter_counts(use_adversary, use_covariates, affine):
    """Norms with parameters: the encoder's two always, the decoder's never, those of the others as asked for."""
    more = {"use_adversary": use_adversary, "use_covariates": use_covariates, "elementwise_affine": affine}
    model, vocabulary = fresh("cpa", DATA, VALUES | more)
    genes, tokens = len(vocabulary.genes), len(vocabulary.perturbations)
    expected = cpa_encoder_size(genes, 48, 12, 1) + mlp_size(12, 48, genes, 1)
    expected += mlp_size(tokens, 48, 12, 1, affine)
    expected += use_covariates * mlp_size(3, 48, 12, 1, affine)
    expected += use_adversary * mlp_size(12, 16, tokens, 1, affine)
    expected += use_adversary * use_covariates * mlp_size(12, 16, 3, 1, affine)
    assert n_parameters(model) == expected


@pytest.mark.parametrize("dropout", [0.0, 0.4])
def test_every_network_has_the_models_dropout(dropout):
    model, _ = fresh("cpa", DATA, VALUES | {"dropout": dropout})
    networks = [model.encoder.body, model.decoder, model.perturbation_encoder, *model.covariate_encoders,
                model.adversaries.perturbation, *model.adversaries.covariates]  # fmt: skip
    assert [[layer.p for layer in n if isinstance(layer, torch.nn.Dropout)] for n in networks] == [
        [dropout] * 2, *[[dropout]] * 5
    ]  # fmt: skip


def plain_decode(model, basal: np.ndarray, batch: Batch) -> np.ndarray:
    _, p, c = numbers(batch)
    z = basal + plain_mlp(model.perturbation_encoder, p) + plain_mlp(model.covariate_encoders[0], c[:, :3])
    x = plain_mlp(model.decoder, z)
    return softplus(x) if model.settings.softplus_output else x


@pytest.mark.parametrize("values", [{}, {"softplus_output": True, "kl_weight": 3.0}, {"variational": False}])
@pytest.mark.parametrize("size", [1, 20])
def test_loss_and_prediction_are_the_formulas(values, size):
    model = randomized(fresh("cpa", DATA, VALUES | values)[0])
    batch = train_batch(size)
    mean, log_variance = plain_encoder(model.encoder, numbers(batch)[0])
    np.testing.assert_allclose(
        model.predict(batch).detach().numpy(), plain_decode(model, mean, batch), rtol=1e-4, atol=1e-5
    )
    torch.manual_seed(7)
    loss = model.loss(batch).item()
    torch.manual_seed(7)
    variational = values.get("variational", True)
    noise = torch.randn(size, 12).double().numpy() * variational
    rebuilt = plain_decode(model, mean + np.exp(log_variance / 2) * noise, batch)
    divergence = 0.5 * (mean**2 + np.exp(log_variance) - 1 - log_variance).sum(1).mean() * variational
    expected = ((rebuilt - batch.target.numpy()) ** 2).sum(1).mean() + model.settings.kl_weight * divergence
    np.testing.assert_allclose(loss, expected, rtol=1e-4)


def log_softmax(x: np.ndarray) -> np.ndarray:
    return x - np.log(np.exp(x).sum(1, keepdims=True))


def test_the_adversaries_loss_and_penalty_are_the_formulas():
    adversaries = randomized(fresh("cpa", DATA, VALUES)[0]).adversaries.double()
    batch, basal = train_batch(), torch.randn(40, 12, dtype=torch.float64, requires_grad=True)
    logits = adversaries.logits(basal)
    _, p, c = numbers(batch)
    z = basal.detach().numpy()
    expected = -(p * log_softmax(plain_mlp(adversaries.perturbation, z))).sum(1).mean()
    expected -= (c[:, :3] * log_softmax(plain_mlp(adversaries.covariates[0], z))).sum(1).mean()
    np.testing.assert_allclose(adversaries.cross_entropies(logits, batch).sum().item(), expected, rtol=1e-5)
    slopes = []
    for network in (adversaries.perturbation, adversaries.covariates[0]):
        slope, step = np.zeros_like(z), 1e-5
        for place in np.ndindex(z.shape):
            up, down = z[[place[0]]].copy(), z[[place[0]]].copy()
            up[0, place[1]] += step
            down[0, place[1]] -= step
            slope[place] = (plain_mlp(network, up).sum() - plain_mlp(network, down).sum()) / (2 * step)
        slopes.append((slope**2).mean())
    np.testing.assert_allclose(adversaries.penalties(logits, basal).detach(), slopes, rtol=1e-4)


class Steps(Callback):
    """What each batch of a training changed, and the adversaries' loss on it before and after."""

    def __init__(self) -> None:
        self.rows: list[tuple] = []

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx) -> None:
        self.before = {name: value.detach().clone() for name, value in pl_module.named_parameters()}

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx) -> None:
        changed = {name.split(".")[0] for name, value in pl_module.named_parameters()
                   if not torch.equal(value, self.before[name])}  # fmt: skip
        self.rows.append((trainer.current_epoch, batch_idx, "adversaries" in changed, "encoder" in changed))


def trained(callback, **values):
    import lightning

    torch.manual_seed(0)
    model, _ = fresh("cpa", DATA, VALUES | values)
    with quiet():
        trainer = lightning.Trainer(
            accelerator="cpu", devices=1, max_epochs=3, logger=False, enable_checkpointing=False, callbacks=[callback],
            enable_progress_bar=False, enable_model_summary=False, num_sanity_val_steps=0,
        )  # fmt: skip
        trainer.fit(model, module(DATA, SPLIT, "cpa", 30))
    return model


@pytest.mark.parametrize("every", [False, True])
@pytest.mark.parametrize(("n_warmup_epochs", "first"), [(0, 0), (1, 2)])
def test_the_schedule(every, n_warmup_epochs, first):
    """The epochs up to ``n_warmup_epochs`` have no adversaries; with 0 none is without."""
    steps = Steps()
    trained(steps, n_warmup_epochs=n_warmup_epochs, adv_steps=3, generator_every_batch=every)
    assert max(batch for _, batch, *_ in steps.rows) >= 3
    for epoch, batch, adversaries, model in steps.rows:
        turn = epoch >= first and batch % 3 != 0
        assert adversaries == turn
        assert model == (every or not turn)


def test_without_adversaries_every_batch_trains_the_model():
    steps = Steps()
    model = trained(steps, n_warmup_epochs=0, use_adversary=False)
    assert all(trained_model for *_, trained_model in steps.rows)
    assert not hasattr(model, "adversaries")


class Loose:
    """CPA outside a trainer: two optimisers, plain backward passes, no log."""

    def __init__(self, **values) -> None:
        self.model, _ = fresh("cpa", DATA, VALUES | values)
        optimizers, _ = self.model.configure_optimizers()
        self.model.optimizers = lambda: optimizers
        self.model.manual_backward = lambda loss, inputs: loss.backward(inputs=inputs)
        self.model.log_mean = lambda *_: None

    def cross_entropy(self, batch: Batch) -> float:
        logits = self.model.adversaries.logits(self.model.encode(batch).mean)
        return self.model.adversaries.cross_entropies(logits, batch).sum().item()


def test_adversaries_improve_in_their_steps_and_lose_in_the_models():
    """The sign of a public generation is the other way round: its adversary helps the encoder."""
    loose, batch = Loose(adv_weight=50.0, kl_weight=0.0), train_batch(200)
    start = loose.cross_entropy(batch)
    for _ in range(60):
        loose.model.adversary_step(batch)
    improved = loose.cross_entropy(batch)
    assert improved < start - 0.2
    for _ in range(30):
        loose.model.generator_step(batch, adversarial=True)
    assert loose.cross_entropy(batch) > 1.05 * improved
    idle = Loose(adv_weight=50.0, kl_weight=0.0)
    for _ in range(60):
        idle.model.adversary_step(batch)
    for _ in range(30):
        idle.model.generator_step(batch, adversarial=False)
    assert loose.cross_entropy(batch) > 1.05 * idle.cross_entropy(batch), "the encoder must hide what it would not"


@pytest.mark.parametrize(("lr_schedule", "expected"), [(True, 2e-8), (False, 1e-7)])
def test_both_learning_rates_fall_without_progress(lr_schedule, expected):
    still = VALUES | {"lr": 1e-7, "n_warmup_epochs": 1, "lr_schedule": lr_schedule}
    _, trainer = fitted("cpa", DATA, SPLIT, still, epochs=18, batch_size=500)
    rates = [optimizer.param_groups[0]["lr"] for optimizer in trainer.optimizers]
    assert rates == pytest.approx([expected] * 2, rel=1e-9, abs=0)


def test_a_sampled_prediction_has_the_same_noise_whatever_the_perturbation():
    model, _ = fresh("cpa", DATA, VALUES | {"sample_prediction": True})
    plain, _ = fresh("cpa", DATA, VALUES)
    plain.load_state_dict(model.state_dict())
    batch = train_batch()
    assert torch.equal(model.predict(batch), model.predict(batch))
    assert not torch.allclose(model.predict(batch), plain.predict(batch))
    none = replace(batch, perturbations=torch.zeros_like(batch.perturbations))
    model.decoder = torch.nn.Identity()
    plain.decoder = torch.nn.Identity()
    torch.testing.assert_close(model.predict(batch) - model.predict(none), plain.predict(batch) - plain.predict(none))


def test_the_history_has_the_loss_per_gene():
    _, trainer = fitted("cpa", DATA, SPLIT, VALUES | {"lr": 1e-12, "variational": False}, batch_size=500)
    model, _ = fresh("cpa", DATA, VALUES | {"variational": False})
    batch = train_batch(500)
    expected = torch.nn.functional.mse_loss(model.predict(batch), batch.target).item()
    np.testing.assert_allclose(float(trainer.callback_metrics["train_loss"]), expected, rtol=1e-4)


def test_defaults_of_the_published_code():
    settings = asdict(fresh("cpa", DATA, {})[0].settings)
    named = ("n_latent", "hidden_dim", "n_layers_encoder", "n_layers_pert_emb", "n_layers_covar_emb", "dropout",
             "adv_classifier_hidden_dim", "adv_classifier_n_layers", "adv_steps", "n_warmup_epochs",
             "penalty_weight")  # fmt: skip
    assert [settings[name] for name in named] == [128, 256, 3, 2, 1, 0.1, 128, 2, 2, 5, 10.0]
