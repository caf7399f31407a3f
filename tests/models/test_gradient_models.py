from __future__ import annotations

import numpy as np
import pytest
import torch
from model_tools import fitted, fresh, val_batches
from plain_networks import numbers, plain_mlp, softplus, weights
from tiny_curated import Tiny, random_split

TINY = Tiny(treatments=("none", "drug"))
DATA = TINY.data()
SPLIT = random_split(DATA, held_out=("G0+G1",))


def plain_linear(model, batch) -> np.ndarray:
    controls, p, c = numbers(batch)
    W, b = weights(model.weights)
    x = controls + (np.hstack([p, c]) if model.settings.inject_covariates else p) @ W.T + b
    return softplus(x) if model.settings.softplus_output else x


def plain_latent(model, batch) -> np.ndarray:
    x, p, c = numbers(batch)
    settings = model.settings
    cells = np.hstack([x, c]) if settings.inject_covariates_encoder else x
    z = plain_mlp(model.control_encoder, cells) + plain_mlp(model.perturbation_encoder, p)
    return softplus(plain_mlp(model.decoder, np.hstack([z, c]) if settings.inject_covariates_decoder else z))


def plain_decoder(model, batch) -> np.ndarray:
    _, p, c = numbers(batch)
    used = [p] * model.settings.use_perturbations + [c] * model.settings.use_covariates
    return softplus(plain_mlp(model.decoder, np.hstack(used)))


CASES = [
    ("linear", {}, plain_linear),
    ("linear", {"inject_covariates": False, "softplus_output": False}, plain_linear),
    ("latent_additive", {"encoder_width": 16, "latent_dim": 5, "n_layers": 2}, plain_latent),
    (
        "latent_additive",
        {"encoder_width": 16, "latent_dim": 5, "n_layers": 1, "inject_covariates_encoder": False},
        plain_latent,
    ),
    (
        "latent_additive",
        {"encoder_width": 16, "latent_dim": 5, "n_layers": 1, "inject_covariates_decoder": False},
        plain_latent,
    ),
    ("decoder_only", {"encoder_width": 16, "n_layers": 2}, plain_decoder),
    ("decoder_only", {"encoder_width": 16, "n_layers": 1, "use_covariates": False}, plain_decoder),
    ("decoder_only", {"encoder_width": 16, "n_layers": 1, "use_perturbations": False}, plain_decoder),
]


@pytest.mark.parametrize(("name", "values", "plain"), CASES)
@pytest.mark.parametrize("batch_size", [1, 16])
def test_prediction_and_loss_are_the_formulas(name, values, plain, batch_size):
    model, _ = fresh(name, DATA, values)
    model.eval()
    for batch in val_batches(DATA, SPLIT, batch_size)[:3]:
        predicted = plain(model, batch)
        np.testing.assert_allclose(model.predict(batch).detach().numpy(), predicted, rtol=1e-4, atol=1e-5)
        expected = np.mean((predicted - batch.target.numpy()) ** 2)
        np.testing.assert_allclose(model.loss(batch).item(), expected, rtol=1e-4)


def test_decoding_each_distinct_input_once_has_the_gradient_of_cell_by_cell():
    model, _ = fresh("decoder_only", DATA, {"encoder_width": 16, "n_layers": 1})
    batch = val_batches(DATA, SPLIT, 30)[0]
    model.loss(batch).backward()
    fast = [parameter.grad.clone() for parameter in model.parameters()]
    model.zero_grad()
    x = torch.nn.functional.softplus(model.decoder(torch.cat([batch.perturbations, batch.covariates], 1)))
    torch.nn.functional.mse_loss(x, batch.target).backward()
    for quick, parameter in zip(fast, model.parameters(), strict=True):
        torch.testing.assert_close(quick, parameter.grad)


def test_val_loss_weights_cells_not_batches():
    model, trainer = fitted("linear", DATA, SPLIT, {"lr": 1e-9}, batch_size=13)
    batches = val_batches(DATA, SPLIT, 13)
    assert len({len(batch) for batch in batches}) == 2, "the last batch must differ in size for this test to see"
    with torch.inference_mode():
        losses = [float(model.loss(batch)) for batch in batches]
    expected, unweighted = np.average(losses, weights=[len(batch) for batch in batches]), np.mean(losses)
    found = float(trainer.callback_metrics["val_loss"])
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    assert abs(found - unweighted) > 1e-4 * found


def test_the_learning_rate_falls_by_five_after_fifteen_epochs_without_progress():
    _, trainer = fitted("linear", DATA, SPLIT, {"lr": 1e-7, "wd": 0.0}, epochs=18, batch_size=500)
    assert trainer.optimizers[0].param_groups[0]["lr"] == pytest.approx(2e-8, abs=0)
