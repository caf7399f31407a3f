from __future__ import annotations

import numpy as np
import pytest
import torch
from external_tools import DATA, SPLIT, assert_resumes, needs
from model_tools import fitted, fresh, val_batches
from tiny_curated import write

from perturbench_lamin.errors import InputError
from perturbench_lamin.loading.batches import Batch
from perturbench_lamin.models.external.sets import cell_sets
from perturbench_lamin.models.registry import hyperparameters
from perturbench_lamin.training.checkpoint import load_model
from perturbench_lamin.training.config import TrainConfig
from perturbench_lamin.training.predict import PredictConfig, predict

needs_cellflow = needs("cellflow-tools")
SMALL = {
    "n_components": 6, "hidden_width": 32, "time_width": 16, "decoder_width": 32, "n_layers": 1, "time_freqs": 8,
    "condition_dim": 16, "condition_dropout": 0.0, "set_size": 32, "accumulate": 1, "lr": 5e-3,
    "time_max_period": 1,
}  # fmt: skip


@pytest.fixture(scope="module")
def trained():
    return fitted("cellflow", DATA, SPLIT, SMALL, epochs=30, batch_size=12)


@needs_cellflow
def test_it_beats_no_change(trained):
    model, _ = trained
    batch = val_batches(DATA, SPLIT, 400)[0]
    errors = [squared_error_of_means(cells, batch) for cells in (model.predict(batch), batch.controls)]
    assert errors[0] < 0.5 * errors[1]


def squared_error_of_means(cells: torch.Tensor, batch: Batch) -> float:
    groups = [places.flatten() for block in cell_sets(batch, 1000) for places in block]
    return float(sum(((cells[g].mean(0) - batch.target[g].mean(0)) ** 2).mean() for g in groups))


@needs_cellflow
def test_paths_are_the_packages_own(trained):
    """Up to the tolerance of the integration; with the package's own time encoding even its batches differ more."""
    model, _ = trained
    batch = val_batches(DATA, SPLIT, 400)[0]
    predicted = model.predict(batch)
    for places in [block[0] for block in cell_sets(batch, 400)]:
        cells = model.project(batch.controls[places])
        conditions = model._conditions(batch.perturbations[places], batch.covariates[places])
        ends = model.flow.transport(cells, conditions)
        theirs = model.flow.solver.predict(cells, {name: values[:1] for name, values in conditions.items()})
        np.testing.assert_allclose(ends, theirs, atol=1e-3)
        expected = model.mean + torch.from_numpy(ends) @ model.components.T
        torch.testing.assert_close(predicted[places], expected, atol=1e-4, rtol=1e-4)


@needs_cellflow
def test_components_are_of_the_training_cells(trained):
    model, _ = trained
    cells = DATA.X.toarray().astype(np.float64)[(SPLIT == "train").to_numpy()]
    np.testing.assert_allclose(model.mean, cells.mean(0), atol=1e-5)
    _, _, vectors = np.linalg.svd(cells - cells.mean(0), full_matrices=False)
    overlap = np.abs((model.components.numpy() * vectors[:6].T).sum(0))
    np.testing.assert_allclose(overlap[:3], 1, atol=1e-4)


@needs_cellflow
def test_controls_are_returned_as_they_are(trained):
    model, _ = trained
    batch = val_batches(DATA, SPLIT, 5)[0]
    nothing = torch.zeros_like(batch.perturbations)
    control = Batch(batch.controls, nothing, batch.covariates, batch.condition_ids, batch.state_ids)
    assert torch.equal(model.predict(control), batch.controls)


@needs_cellflow
def test_a_condition_is_the_set_of_its_tokens(trained):
    model, _ = trained
    batch = val_batches(DATA, SPLIT, 400)[0]
    conditions = model._conditions(batch.perturbations, batch.covariates)
    np.testing.assert_array_equal(conditions["perturbation"].sum(1), batch.perturbations)
    assert conditions["perturbation"].shape[1] == 2
    assert conditions["perturbation"].sum(2).max() == 1
    for place in (0, 1):
        np.testing.assert_array_equal(conditions["covariates"][:, place], batch.covariates)


@needs_cellflow
def test_more_tokens_than_in_training(trained):
    model, _ = trained
    batch = val_batches(DATA, SPLIT, 2)[0]
    everything = torch.ones_like(batch.perturbations)
    asked = Batch(batch.controls, everything, batch.covariates, batch.condition_ids, batch.state_ids)
    assert model.predict(asked).isfinite().all()


@needs_cellflow
def test_loss_of_validation_is_the_energy_distance(trained):
    model, _ = trained
    batch = val_batches(DATA, SPLIT, 17)[0]
    predicted, target = (part.numpy().astype(np.float64) for part in (model.predict(batch), batch.target))
    mean = lambda a, b: np.mean([[np.linalg.norm(u - v) for v in b] for u in a])  # noqa: E731
    groups = [places for block in cell_sets(batch, 400) for places in block.tolist()]
    pairs = [(predicted[places], target[places]) for places in groups]
    expected = np.mean([2 * mean(x, y) - mean(x, x) - mean(y, y) for x, y in pairs])
    np.testing.assert_allclose(model.loss(batch).item(), expected, rtol=1e-3)


@needs_cellflow
def test_checkpoints_resume_load_and_predict(tmp_path):
    curated = write(DATA, tmp_path / "tiny.h5ad")
    values = SMALL | {"condition_dropout": 0.5, "accumulate": 2}
    config = TrainConfig("cellflow", values, seed=5, max_epochs=2, batch_size=16, accelerator="cpu")
    checkpoint = assert_resumes(curated, config, tmp_path)
    model, _ = load_model(checkpoint)
    untrained = fresh("cellflow", DATA, values)[0].flow.arrays()
    trained = model.flow.arrays()
    assert sum(not np.array_equal(a, b) for a, b in zip(trained, untrained, strict=True)) > len(trained) / 2
    predicted = predict(checkpoint, curated, SPLIT, "test", config=PredictConfig(accelerator="cpu"))
    assert np.isfinite(predicted.X).all()
    assert set(predicted.obs["condition"]) == set(DATA.obs["condition"]) - {"control"}


@needs_cellflow
def test_weights_of_another_network():
    one, _ = fresh("cellflow", DATA, SMALL)
    other, _ = fresh("cellflow", DATA, SMALL | {"hidden_width": 16})
    with pytest.raises(InputError, match="another network"):
        other.flow.restore(one.flow.arrays())


@needs_cellflow
def test_a_split_without_enough_cells_for_the_components():
    with pytest.raises(InputError, match="30 components"):
        fitted("cellflow", DATA, SPLIT, SMALL | {"n_components": 30})


@pytest.mark.parametrize(
    ("values", "message"),
    [({"pooling": "max"}, "pooling"), ({"lr": 0.0}, "lr is 0"), ({"condition_dropout": 1.0}, "condition_dropout")],
)
def test_bad_values(values, message):
    with pytest.raises(InputError, match=message):
        hyperparameters("cellflow", values)
