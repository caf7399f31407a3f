from __future__ import annotations

import numpy as np
import pytest
import torch
from model_tools import fitted, fresh, val_batches
from tiny_curated import Tiny, random_split

from perturbench_lamin.models.registry import MODELS

TINY = Tiny(treatments=("none", "drug"))
DATA = TINY.data()
SPLIT = random_split(DATA, held_out=("G0+G1",))
SMALL = {
    "linear": {"lr": 0.05, "softplus_output": False},
    "latent_additive": {"encoder_width": 48, "latent_dim": 12, "n_layers": 1, "lr": 4e-3, "dropout": 0.0},
    "decoder_only": {"encoder_width": 48, "n_layers": 1, "lr": 4e-3},
}


def softplus(x: np.ndarray) -> np.ndarray:
    return np.logaddexp(0, x)


def weights(layer) -> tuple[np.ndarray, np.ndarray]:
    return layer.weight.detach().numpy().astype(np.float64), layer.bias.detach().numpy().astype(np.float64)


def plain_mlp(layers, x: np.ndarray) -> np.ndarray:
    """A perceptron in evaluation mode, in plain float64 arithmetic."""
    for layer in layers:
        if isinstance(layer, torch.nn.Linear):
            W, b = weights(layer)
            x = x @ W.T + b
        elif isinstance(layer, torch.nn.LayerNorm):
            x = (x - x.mean(1, keepdims=True)) / np.sqrt(x.var(1, keepdims=True) + 1e-5)
        elif isinstance(layer, torch.nn.ReLU):
            x = np.maximum(x, 0)
    return x


def numbers(batch) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return tuple(part.numpy().astype(np.float64) for part in (batch.controls, batch.perturbations, batch.covariates))


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


@pytest.mark.parametrize("name", SMALL)
def test_models_beat_no_change_on_held_out_cells(name):
    _, trainer = fitted(name, DATA, SPLIT, SMALL[name], epochs=40, batch_size=64)
    _, baseline = fitted("control_mean", DATA, SPLIT)
    assert trainer.callback_metrics["val_loss"] < 0.5 * baseline.callback_metrics["val_loss"]


@pytest.mark.parametrize("name", SMALL)
def test_a_model_can_fit_a_tiny_set_closely(name):
    tiny = Tiny(n_tokens=2, n_pairs=0, cells=3, controls=3, n_genes=8, noise=0.0, cell_types=("K562",)).data()
    split = tiny.obs["condition"].astype(str).map(lambda _: "train")
    split.iloc[[*np.unique(tiny.obs["condition"], return_index=True)[1]]] = "val"
    _, trainer = fitted(name, tiny, split, SMALL[name] | {"wd": 0.0, "lr": 0.02}, epochs=120, batch_size=64)
    assert trainer.callback_metrics["train_loss"] < 0.02


@pytest.mark.parametrize("name", MODELS)
def test_one_cell_trains_and_is_predicted(name):
    """13 cells a batch leave one for the last; each model takes the step and predicts a matrix of one row."""
    data = Tiny(n_tokens=1, n_pairs=0, cells=9, controls=5, n_genes=6, cell_types=("K562",)).data()
    split = data.obs["condition"].astype(str).map(lambda _: "train")
    treated = np.flatnonzero(data.obs["condition"] == "G0")
    control = np.flatnonzero(data.obs["condition"] == "control")
    split.iloc[[*treated[:2], control[0]]] = "val"
    values = SMALL.get(name, {})
    model, trainer = fitted(name, data, split, values, batch_size=(len(treated) - 2) // 2 if values else 10)
    assert trainer.global_step == (3 if values else 2)
    batch = val_batches(data, split, 1)[0]
    assert model.predict(batch).shape == (1, 6)
    assert model(batch).isfinite().all()


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
