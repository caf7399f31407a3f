from __future__ import annotations

import numpy as np
import pytest
import torch
from external_tools import DATA, SPLIT, assert_resumes, needs
from model_tools import fitted, fresh, module, val_batches
from tiny_curated import Tiny, write

from perturbench_lamin.errors import InputError
from perturbench_lamin.models.external.sets import cell_sets
from perturbench_lamin.models.registry import hyperparameters
from perturbench_lamin.training.checkpoint import load_model
from perturbench_lamin.training.config import TrainConfig
from perturbench_lamin.training.predict import PredictConfig, predict

needs_state = needs("arc-state")
SMALL = {
    "hidden_dim": 32, "intermediate_size": 48, "n_transformer_layers": 2, "n_heads": 4, "cell_set_len": 6,
    "n_encoder_layers": 2, "n_decoder_layers": 2, "lr": 3e-3, "dropout": 0.0,
}  # fmt: skip


def energy(x: np.ndarray, y: np.ndarray) -> float:
    """E‖x − y‖ − ½ E‖x − x'‖ − ½ E‖y − y'‖ (Székely & Rizzo), over all pairs."""
    mean = lambda a, b: np.mean([[np.linalg.norm(u - v) for v in b] for u in a])  # noqa: E731
    return mean(x, y) - mean(x, x) / 2 - mean(y, y) / 2


@needs_state
def test_loss_is_the_mean_energy_distance_of_the_sets():
    model, _ = fresh("state", DATA, SMALL)
    model.eval()
    batch = train_batch()
    predicted, target = (part.detach().numpy().astype(np.float64) for part in (model.predict(batch), batch.target))
    sets = [places for block in cell_sets(batch, 6) for places in block.tolist()]
    assert len({len(places) for places in sets}) > 1
    expected = np.mean([energy(predicted[places], target[places]) for places in sets])
    np.testing.assert_allclose(model.loss(batch).item(), expected, rtol=1e-3)


def train_batch():
    """Groups of several sizes."""
    return next(iter(module(DATA, SPLIT, "linear", batch_size=50).train_dataloader()))


@needs_state
def test_squared_error_counts_sets_alike():
    model, _ = fresh("state", DATA, SMALL | {"loss": "mse"})
    batch = train_batch()
    errors = ((model.eval().predict(batch) - batch.target) ** 2).mean(1)
    by_size = [errors[places].mean(1) for places in cell_sets(batch, 6)]
    torch.testing.assert_close(model.loss(batch), torch.cat(by_size).mean())


@needs_state
def test_cells_see_their_whole_set_in_no_order_and_no_other_set():
    model, _ = fresh("state", DATA, SMALL)
    model.eval()
    batch = train_batch()
    largest = cell_sets(batch, 6)[-1][0]
    assert len(largest) > 2
    before = model.predict(batch)
    batch.controls[largest[-1]] += 1
    changed = (model.predict(batch) != before).any(1)
    assert changed.nonzero()[:, 0].tolist() == largest.tolist(), "the first cells too: attention has no direction"
    order = torch.arange(len(batch)).flip(0)
    parts = (batch.controls, batch.perturbations, batch.covariates, batch.condition_ids, batch.state_ids)
    turned = type(batch)(*(part[order] for part in parts))
    wide, _ = fresh("state", DATA, SMALL | {"cell_set_len": 40})
    wide.eval()
    torch.testing.assert_close(wide.predict(turned), wide.predict(batch)[order], atol=1e-5, rtol=1e-4)


@needs_state
def test_it_beats_no_change():
    values = SMALL | {"lr": 0.01, "n_encoder_layers": 1, "n_decoder_layers": 1}
    state, _ = fitted("state", DATA, SPLIT, values, epochs=60, batch_size=40)
    batch = val_batches(DATA, SPLIT, 400)[0]
    learned, unchanged = (mean_error(cells, batch) for cells in (state.predict(batch).detach(), batch.controls))
    assert learned < 0.5 * unchanged


def mean_error(cells: torch.Tensor, batch) -> float:
    """The squared error of the mean cells of the groups."""
    groups = [places.flatten() for block in cell_sets(batch, 1000) for places in block]
    return float(sum(((cells[g].mean(0) - batch.target[g].mean(0)) ** 2).mean() for g in groups))


@needs_state
def test_one_cell_trains_with_and_without_covariates():
    data = Tiny(n_tokens=1, n_pairs=0, cells=7, controls=5, n_genes=6, cell_types=("K562",)).data()
    split = data.obs["condition"].astype(str).map(lambda _: "train")
    treated, control = (np.flatnonzero(data.obs["condition"] == label) for label in ("G0", "control"))
    split.iloc[[*treated[:2], control[0]]] = "val"
    for inject in (True, False):
        model, trainer = fitted("state", data, split, SMALL | {"inject_covariates": inject}, batch_size=4)
        assert trainer.global_step == 2
        assert model.network.pert_dim == 1 + 2 * inject
        assert model.predict(val_batches(data, split, 1)[0]).shape == (1, 6)


@needs_state
def test_checkpoints_resume_load_and_predict(tmp_path):
    curated = write(DATA, tmp_path / "tiny.h5ad")
    config = TrainConfig("state", SMALL | {"dropout": 0.2}, seed=5, max_epochs=2, batch_size=40, accelerator="cpu")
    checkpoint = assert_resumes(curated, config, tmp_path)
    batch = val_batches(DATA, SPLIT, 30)[0]
    assert torch.equal(load_model(checkpoint)[0].predict(batch), load_model(checkpoint)[0].predict(batch))
    predicted = predict(checkpoint, curated, SPLIT, "test", config=PredictConfig(accelerator="cpu"))
    assert (predicted.X >= 0).all()
    assert set(predicted.obs["condition"]) == set(DATA.obs["condition"]) - {"control"}


@needs_state
def test_building_it_prints_nothing(capsys):
    fresh("state", DATA, SMALL)
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(("values", "message"), [({"loss": "energie"}, "mean energy"), ({"n_heads": 5}, "no multiple")])
def test_bad_values(values, message):
    with pytest.raises(InputError, match=message):
        hyperparameters("state", values)
