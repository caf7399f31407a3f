from __future__ import annotations

import numpy as np
import pytest
import torch
from external_tools import DATA, SPLIT, assert_resumes, go_file, needs
from model_tools import fitted, val_batches
from tiny_curated import Tiny, write

from perturbench_lamin.errors import InputError
from perturbench_lamin.loading.batches import Batch
from perturbench_lamin.models.external import extra
from perturbench_lamin.models.external.graphs import edge_list
from perturbench_lamin.models.registry import hyperparameters
from perturbench_lamin.training.checkpoint import load_model
from perturbench_lamin.training.config import TrainConfig
from perturbench_lamin.training.predict import PredictConfig, predict

pytestmark = needs("cell-gears", "torch-geometric")
SMALL = {"hidden_size": 16, "lr": 0.02, "wd": 0.0, "similar_genes_go": 3, "similar_genes_coexpression": 4}


@pytest.fixture(scope="module")
def values(tmp_path_factory) -> dict:
    return SMALL | {"go_graph": str(go_file(tmp_path_factory.mktemp("graph") / "go.csv"))}


@pytest.fixture(scope="module")
def trained(values):
    return fitted("gears", DATA, SPLIT, values, epochs=5, batch_size=4)


def test_it_beats_no_change(trained):
    _, trainer = trained
    _, baseline = fitted("control_mean", DATA, SPLIT)
    assert trainer.callback_metrics["val_loss"] < 0.7 * baseline.callback_metrics["val_loss"]
    assert trainer.optimizers[0].param_groups[0]["lr"] == pytest.approx(0.02 / 2**5)


def test_validation_loss_is_the_squared_error(trained):
    model, trainer = trained
    errors = [((model.predict(batch) - batch.target) ** 2).mean(1) for batch in val_batches(DATA, SPLIT, 4)]
    np.testing.assert_allclose(trainer.callback_metrics["val_loss"], torch.cat(errors).mean().item(), rtol=1e-4)


def test_a_cell_is_predicted_alike_in_any_batch(trained):
    model, _ = trained
    (batch,) = val_batches(DATA, SPLIT, 40)[:1]
    alone = [model._run(batch.controls[i : i + 1], batch.perturbations[i : i + 1]) for i in range(len(batch))]
    torch.testing.assert_close(model.predict(batch), torch.cat(alone))


def test_without_the_correction_it_is_the_packages_network_on_its_own_batches(values):
    """The package's batch of graphs, its edge dropping aside: only the first cell sees the co-expression graph."""
    model, _ = fitted("gears", DATA, SPLIT, values | {"coexpression_for_every_cell": False}, batch_size=40)
    (batch,) = val_batches(DATA, SPLIT, 12)[:1]
    graphs = [package_graph(model, batch, cell) for cell in range(len(batch))]
    geometric = extra.GEARS.module("torch_geometric.data")
    network = model.network
    network.G_coexpress, network.G_coexpress_weight = edge_list(model.gene_sources, model.gene_weights)
    theirs = network(geometric.Batch.from_data_list(graphs))
    torch.testing.assert_close(model.predict(batch), theirs)
    last_first = model.predict(reversed_batch(batch)).flip(0)
    assert not torch.allclose(theirs, last_first, atol=1e-4), "the place in the batch matters there"


def package_graph(model, batch: Batch, cell: int):
    """A cell as the package makes it."""
    nodes = model.token_nodes[batch.perturbations[cell].bool()].tolist()
    data = extra.GEARS.module("torch_geometric.data").Data
    return data(x=batch.controls[cell][:, None], pert_idx=nodes, y=batch.target[cell][None])


def reversed_batch(batch: Batch) -> Batch:
    parts = (batch.controls, batch.perturbations, batch.covariates, batch.condition_ids, batch.state_ids)
    return Batch(*(part.flip(0) for part in parts))


def test_graphs_and_summaries_are_of_training_controls_and_singles(trained):
    model, _ = trained
    train = (SPLIT == "train").to_numpy()
    labels = DATA.obs["condition"].astype(str).to_numpy()
    cells = DATA.X.toarray().astype(np.float64)
    singles = train & np.array(["+" not in label for label in labels])
    expected = np.abs(np.nan_to_num(np.corrcoef(cells[singles], rowvar=False)))
    sources, weights = model.gene_sources.numpy(), model.gene_weights.numpy()
    targets = np.arange(len(sources))[:, None]
    assert (sources >= 0).any(1).all()
    np.testing.assert_allclose(weights, np.where(sources >= 0, expected[targets, sources], 0), atol=1e-6)
    for place, state in enumerate(model.vocabulary.states):
        same = train & (labels == "control") & (DATA.obs["cell_type"] == state[0]).to_numpy()
        np.testing.assert_allclose(model.control_mean[place], cells[same].mean(0), rtol=1e-5)
    for place, condition in enumerate(model.vocabulary.conditions):
        expressed = (cells[train & (labels == condition)] != 0).any(0) | (condition == "control")
        np.testing.assert_array_equal(model.expressed[place], expressed)


def test_one_cell_trains(values):
    data = Tiny(n_tokens=1, n_pairs=0, cells=7, controls=5, n_genes=6, cell_types=("K562",)).data()
    split = data.obs["condition"].astype(str).map(lambda _: "train")
    treated, control = (np.flatnonzero(data.obs["condition"] == label) for label in ("G0", "control"))
    split.iloc[[*treated[:2], control[0]]] = "val"
    model, trainer = fitted("gears", data, split, values, batch_size=4)
    assert trainer.global_step == 2, "five cells in batches of four"
    assert all(parameter.isfinite().all() for parameter in model.parameters())
    assert model.predict(val_batches(data, split, 1)[0]).shape == (1, 6)


def test_a_control_has_no_perturbation(trained):
    model, _ = trained
    (batch,) = val_batches(DATA, SPLIT, 5)[:1]
    control = Batch(batch.controls, torch.zeros_like(batch.perturbations), *[batch.covariates] * 3)
    mixed = Batch(
        batch.controls, batch.perturbations * torch.tensor([[0.0], [1], [0], [1], [0]]), *[batch.covariates] * 3
    )
    torch.testing.assert_close(model.predict(mixed)[::2], model.predict(control)[::2])
    torch.testing.assert_close(model.predict(mixed)[1::2], model.predict(batch)[1::2])


def test_perturbations_that_the_graph_lacks(tmp_path, values):
    path = go_file(tmp_path / "go.csv", tokens=("G0", "G1", "G2"))
    with pytest.raises(InputError, match=r"lacks 1 perturbations: G3(.|\n)*isolated_tokens"):
        fitted("gears", DATA, SPLIT, values | {"go_graph": str(path)})
    model, _ = fitted("gears", DATA, SPLIT, values | {"go_graph": str(path), "isolated_tokens": True})
    assert model.token_nodes.tolist() == [2, 3, 4, 5]
    assert (model.go_sources[5] == -1).all()


def test_it_needs_a_graph(values):
    with pytest.raises(InputError, match="No such graph file"):
        fitted("gears", DATA, SPLIT, values | {"go_graph": ""})


def test_checkpoints_resume_load_and_predict_without_the_graph_file(tmp_path, values):
    curated = write(DATA, tmp_path / "tiny.h5ad")
    own = values | {"go_graph": str(go_file(tmp_path / "go.csv"))}
    config = TrainConfig("gears", own, seed=5, max_epochs=2, batch_size=16, accelerator="cpu")
    checkpoint = assert_resumes(curated, config, tmp_path)
    (tmp_path / "go.csv").unlink()
    model, info = load_model(checkpoint)
    assert info.hyperparameters["similar_genes_go"] == 3
    assert len(model.go_sources) == 6
    predicted = predict(checkpoint, curated, SPLIT, "test", config=PredictConfig(accelerator="cpu"))
    batch = val_batches(DATA, SPLIT, 6)[0]
    assert torch.equal(model.predict(batch), load_model(checkpoint)[0].predict(batch))
    assert np.isfinite(predicted.X).all()
    assert set(predicted.obs["condition"]) == set(DATA.obs["condition"]) - {"control"}


def test_published_values_are_the_defaults():
    config = TrainConfig.from_published("gears", "norman19")
    assert (config.max_epochs, config.batch_size, config.precision) == (10, 32, "32-true")
    assert hyperparameters("gears", config.hyperparameters) == hyperparameters("gears")
