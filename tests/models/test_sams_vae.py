from __future__ import annotations

import numpy as np
import pytest
import torch
from model_tools import SMALL, fitted, fresh, module
from plain_networks import heads_size, mlp_size, n_parameters, numbers, plain_encoder, plain_mlp, softplus
from scipy.stats import bernoulli, norm
from tiny_curated import Tiny, random_split

from perturbench_lamin.loading.batches import Batch, BatchLoader, Disentanglement
from perturbench_lamin.models import sams_vae

DATA = Tiny(n_pairs=4).data()
SPLIT = random_split(DATA)
VALUES = SMALL["sams_vae"]
SIMPLE = {"disable_sparsity": True, "disable_e_dist": True}
ABLATIONS = [
    {}, SIMPLE, {"disable_sparsity": True}, {"disable_e_dist": True},
    {"inject_covariates_encoder": False, "inject_covariates_decoder": False, "softplus_output": False},
]  # fmt: skip


def train_batch(size: int = 30) -> Batch:
    train = module(DATA, SPLIT, "sams_vae").train
    return next(iter(BatchLoader(Disentanglement(train), batch_size=size, seed=0, shuffle=True)))


@pytest.mark.parametrize("values", ABLATIONS)
def test_parameter_counts(values):
    model, vocabulary = fresh("sams_vae", DATA, VALUES | values)
    genes, tokens, d = len(vocabulary.genes), len(vocabulary.perturbations), 12
    masks = 0 if values.get("disable_sparsity") else tokens * d
    injected = vocabulary.n_covariates * values.get("inject_covariates_encoder", True)
    encoders = [mlp_size(n, 48, 48, 1) + heads_size(48, d) for n in (tokens + d * bool(masks), genes + d + injected)]
    assert n_parameters(model) == masks + sum(encoders) + mlp_size(d + injected, 48, genes, 1)


def test_only_the_decoder_has_dropout():
    model, _ = fresh("sams_vae", DATA, VALUES | {"dropout": 0.4})
    found = [name for name, layer in model.named_modules() if isinstance(layer, torch.nn.Dropout) and layer.p]
    assert [name.split(".")[0] for name in found] == ["decoder"]


def plain_loss(model, batch: Batch, masks: np.ndarray, effect_noise: np.ndarray, basal_noise: np.ndarray) -> float:
    """The sum of the four terms, cell by cell and token by token."""
    x, p, c = numbers(batch)
    settings = model.settings
    n_cells = model.token_cells.double().numpy()
    shift, effects = np.zeros((len(x), 12)), 0.0
    number = 0
    for cell in range(len(x)):
        active = np.flatnonzero(p[cell])
        for token in active:
            seen = p[cell] if settings.disable_sparsity else np.concatenate([masks[token], p[cell]])
            mean, log_variance = (part[0] for part in plain_encoder(model.effect_encoder, seen[None]))
            scale = np.exp(log_variance / 2)
            effect = mean if settings.disable_e_dist else mean + scale * effect_noise[number]
            shift[cell] += masks[token] * effect
            density = norm.logpdf(effect, mean, scale).sum() - norm.logpdf(effect).sum()
            effects += density / n_cells[active].sum() / len(x)
            number += 1
    seen = np.hstack([x, c, shift] if settings.inject_covariates_encoder else [x, shift])
    mean, log_variance = plain_encoder(model.cell_encoder, seen)
    basal = mean + np.exp(log_variance / 2) * basal_noise
    decoded = basal + shift
    rebuilt = plain_mlp(model.decoder, np.hstack([decoded, c]) if settings.inject_covariates_decoder else decoded)
    rebuilt = softplus(rebuilt) if settings.softplus_output else rebuilt
    loss = ((rebuilt - batch.target.numpy()) ** 2).sum(1).mean()
    loss += (norm.logpdf(basal, mean, np.exp(log_variance / 2)) - norm.logpdf(basal)).sum(1).mean()
    loss += 0.0 if settings.disable_e_dist else effects
    if not settings.disable_sparsity:
        q = 1 / (1 + np.exp(-model.mask_logits.detach().double().numpy()))
        prior = settings.mask_prior_probability
        density = (bernoulli.logpmf(masks.astype(int), q) - bernoulli.logpmf(masks.astype(int), prior)).sum(1)
        loss += (density * p.sum(0) / n_cells).sum() / len(x)
    return loss


@pytest.mark.parametrize("values", ABLATIONS)
@pytest.mark.parametrize("size", [1, 30])
def test_the_loss_is_its_formula(values, size, monkeypatch):
    model, vocabulary = fresh("sams_vae", DATA, VALUES | values)
    batch = train_batch(size)
    n_tokens = len(vocabulary.perturbations)
    model.token_cells.copy_(torch.arange(2, 2 + n_tokens))
    masks = np.ones((n_tokens, 12))
    if not model.settings.disable_sparsity:
        torch.nn.init.normal_(model.mask_logits)
        masks = np.random.default_rng(1).integers(0, 2, (n_tokens, 12)).astype(float)
        monkeypatch.setattr(sams_vae, "sample_mask", lambda logits, uniform: torch.tensor(masks, dtype=torch.float32))
    rows = int(batch.perturbations.sum())
    torch.manual_seed(5)
    loss = model.loss(batch).item()
    torch.manual_seed(5)
    if not model.settings.disable_sparsity:
        torch.rand(n_tokens, 12)
    effect_noise = None if model.settings.disable_e_dist else torch.randn(rows, 12).double().numpy()
    basal_noise = torch.randn(size, 12).double().numpy()
    np.testing.assert_allclose(loss, plain_loss(model, batch, masks, effect_noise, basal_noise), rtol=1e-4)


def test_training_counts_the_cells_of_each_token():
    model, _ = fitted("sams_vae", DATA, SPLIT, VALUES)
    train = DATA.obs.loc[(SPLIT == "train").to_numpy(), "condition"].astype(str)
    expected = [sum(token in condition.split("+") for condition in train) for token in model.vocabulary.perturbations]
    assert model.token_cells.tolist() == expected
    assert len(set(expected)) > 1


def test_prediction_decodes_the_controls_code_shifted_by_the_mean_effects():
    model, _ = fresh("sams_vae", DATA, VALUES)
    torch.nn.init.normal_(model.mask_logits)
    batch = train_batch()
    x, p, c = numbers(batch)
    masks = 1 / (1 + np.exp(-model.mask_logits.detach().double().numpy()))
    shift = np.zeros((len(x), 12))
    for cell, token in zip(*np.nonzero(p), strict=True):
        seen = np.concatenate([masks[token], p[cell]])[None]
        shift[cell] += masks[token] * plain_encoder(model.effect_encoder, seen)[0][0]
    basal = plain_encoder(model.cell_encoder, np.hstack([x, c, shift]))[0]
    expected = softplus(plain_mlp(model.decoder, np.hstack([basal + shift, c])))
    np.testing.assert_allclose(model.predict(batch).detach().numpy(), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("generative", [True, False])
def test_sampled_predictions_are_reproducible(generative):
    values = VALUES | {"generative_counterfactual": generative}
    model, _ = fresh("sams_vae", DATA, values | {"sample_prediction": True})
    mean, _ = fresh("sams_vae", DATA, values)
    batch = train_batch()
    torch.manual_seed(0)
    one = model.predict(batch)
    torch.manual_seed(1)
    assert torch.equal(one, model.predict(batch))
    assert not torch.allclose(one, mean.predict(batch))


def test_a_generative_prediction_does_not_see_the_control_cell():
    model, _ = fresh("sams_vae", DATA, VALUES | {"generative_counterfactual": True})
    batch = train_batch()
    same = (batch.condition_ids == batch.condition_ids[0]) & (batch.state_ids == batch.state_ids[0])
    assert same.sum() > 1
    predicted = model.predict(batch)[same]
    torch.testing.assert_close(predicted, predicted[:1].expand_as(predicted))


def test_cells_of_a_condition_share_their_effects():
    """Without dropout; the masks are one sample a batch."""
    model, _ = fresh("sams_vae", DATA, VALUES)
    batch, seen = train_batch(), []
    model.effect_encoder.body[0].register_forward_hook(lambda _, inputs, __: seen.append(len(inputs[0])))
    model.predict(batch)
    cells, tokens = batch.perturbations.nonzero(as_tuple=True)
    pairs = set(zip(batch.condition_ids[cells].tolist(), tokens.tolist(), strict=True))
    assert seen == [len(pairs)]
    assert len(pairs) < batch.perturbations.sum()


def test_a_batch_of_controls_alone_trains():
    model, _ = fresh("sams_vae", DATA, VALUES)
    batch = train_batch(60)
    control = batch.perturbations.sum(1) == 0
    assert control.any()
    parts = (batch.controls, batch.perturbations, batch.covariates, batch.condition_ids, batch.state_ids)
    alone = Batch(*(part[control] for part in parts), expression=batch.controls[control])
    loss = model.loss(alone)
    loss.backward()
    assert torch.isfinite(loss)
