from __future__ import annotations

import json
from dataclasses import replace

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from test_fit import SPLIT as NOISY_SPLIT
from tiny_curated import Tiny, random_split, write

from perturbench_lamin.conditions import token_table
from perturbench_lamin.curation.source_h5ad import H5adSource
from perturbench_lamin.errors import InputError
from perturbench_lamin.loading.curated import READERS, curated
from perturbench_lamin.training.config import TrainConfig
from perturbench_lamin.training.fit import fit
from perturbench_lamin.training.predict import PredictConfig, predict
from perturbench_lamin.training.predict_conditions import predict_conditions

TINY = Tiny(noise=0.05, controls=20)
DATA = TINY.data()
HELD_OUT = "G0+G1"
SPLIT = random_split(DATA, held_out=(HELD_OUT,))
MEAN = PredictConfig("mean", accelerator="cpu")
CELLS = PredictConfig("cells", accelerator="cpu")


@pytest.fixture(scope="module")
def curated_path(tmp_path_factory):
    return write(DATA, tmp_path_factory.mktemp("data") / "tiny.h5ad")


@pytest.fixture(scope="module")
def checkpoint(curated_path, tmp_path_factory):
    config = TrainConfig("additive", {"base": "cells"}, accelerator="cpu")
    result = fit(curated_path, SPLIT, config, tmp_path_factory.mktemp("fit"), provenance={"curated": "abc"})
    return result.best_checkpoint


def test_cells_are_the_splits_controls_under_each_condition(checkpoint, curated_path):
    predicted = predict(checkpoint, curated_path, SPLIT, config=CELLS)
    assert predicted.X.dtype == np.float32
    assert predicted.var_names.tolist() == list(DATA.genes)
    assert list(predicted.obs) == ["condition", "cell_type", "treatment", "control_cell"]
    assert predicted.obs_names.is_unique
    test = DATA.obs[(SPLIT == "test").to_numpy()].astype(str)
    perturbed = test[test["condition"] != "control"]
    key = ["condition", "cell_type", "treatment"]
    assert set(map(tuple, predicted.obs[key].astype(str).to_numpy())) == set(map(tuple, perturbed[key].to_numpy()))
    sources = test.loc[predicted.obs["control_cell"]]
    assert (sources["condition"] == "control").all()
    assert (sources["cell_type"].to_numpy() == predicted.obs["cell_type"].astype(str).to_numpy()).all()


def test_means_are_the_means_of_the_cells(checkpoint, curated_path):
    cells = predict(checkpoint, curated_path, SPLIT, config=CELLS)
    means = predict(checkpoint, curated_path, SPLIT, config=replace(MEAN, batch_size=3))
    groups = cells.obs.groupby(["cell_type", "condition"], observed=True).indices
    assert means.n_obs == len(groups)
    for (_, row), mean in zip(means.obs.iterrows(), means.X, strict=True):
        members = groups[row["cell_type"], row["condition"]]
        assert row["n_cells"] == len(members)
        np.testing.assert_allclose(mean, cells.X[members].mean(0), rtol=1e-5)


def test_the_file_is_what_is_returned_and_says_what_it_was_made_of(checkpoint, curated_path, tmp_path):
    memory = predict(checkpoint, curated_path, SPLIT, config=CELLS, provenance={"split_uid": "xyz"})
    path = predict(
        checkpoint, curated_path, SPLIT, out=tmp_path / "p.h5ad", config=CELLS, provenance={"split_uid": "xyz"}
    )
    file = ad.read_h5ad(path)
    np.testing.assert_array_equal(file.X, memory.X)
    pd.testing.assert_frame_equal(file.obs.astype(str), memory.obs.astype(str))
    about = file.uns["prediction"]
    assert about["model"] == "additive"
    assert json.loads(about["trained_on"]) == {"curated": "abc"}
    assert (about["split"], about["kind"], about["split_uid"]) == ("test", "cells", "xyz")
    assert [item.name for item in tmp_path.iterdir()] == ["p.h5ad"]


def test_batches_do_not_change_the_prediction_and_the_control_is_optional(checkpoint, curated_path):
    small = predict(checkpoint, curated_path, SPLIT, config=replace(CELLS, batch_size=1))
    np.testing.assert_array_equal(small.X, predict(checkpoint, curated_path, SPLIT, config=CELLS).X)
    assert "control" not in set(small.obs["condition"])
    every = predict(checkpoint, curated_path, SPLIT, config=replace(MEAN, include_control=True))
    assert (every.obs["condition"] == "control").sum() == 2


def test_max_control_cells(checkpoint, curated_path):
    predicted = predict(checkpoint, curated_path, SPLIT, "train", config=replace(CELLS, max_control_cells=2))
    assert set(predicted.obs.groupby(["cell_type", "condition"], observed=True).size()) == {2}


@pytest.mark.parametrize(
    ("model", "values", "error"),
    [
        ("additive", {}, 0.05),
        ("linear", {"lr": 0.05, "softplus_output": False}, 0.35),
        ("latent_additive", {"lr": 5e-3, "encoder_width": 32, "latent_dim": 8, "n_layers": 1, "dropout": 0.0}, 0.8),
    ],
)
def test_held_out_pairs_of_an_additive_truth(curated_path, tmp_path, model, values, error):
    """``error`` is the root mean square error allowed, relative to that of predicting no change."""
    config = TrainConfig(model, values, max_epochs=60, batch_size=64, accelerator="cpu")
    result = fit(curated_path, SPLIT, config, tmp_path / "run")
    predicted = predict(result.best_checkpoint, curated_path, SPLIT, config=MEAN)
    means, effects = TINY.truth()
    pair = predicted[(predicted.obs["condition"] == HELD_OUT).to_numpy()]
    assert pair.n_obs == 2
    for cell_type, mean in zip(pair.obs["cell_type"], pair.X, strict=True):
        change = effects["G0"] + effects["G1"]
        wrong = mean - (means[cell_type, "none"] + change)
        assert np.sqrt(np.mean(wrong**2)) < error * np.sqrt(np.mean(change**2))


def test_genes_in_another_order_are_put_in_the_models(checkpoint, curated_path, tmp_path):
    order = np.random.default_rng(0).permutation(len(DATA.genes))
    shuffled = curated(DATA.X[:, order], DATA.obs, [DATA.genes[i] for i in order], DATA.info)
    path = write(shuffled, tmp_path / "shuffled.h5ad")
    predicted = predict(checkpoint, path, SPLIT, config=CELLS)
    assert predicted.var_names.tolist() == list(DATA.genes)
    np.testing.assert_array_equal(predicted.X, predict(checkpoint, curated_path, SPLIT, config=CELLS).X)


def test_other_genes_are_an_error(checkpoint, tmp_path):
    other = curated(sparse.csr_matrix(DATA.X[:, 1:]), DATA.obs, [*DATA.genes[2:], "extra"], DATA.info)
    with pytest.raises(InputError, match="other genes: 2 not in the data, 1 only in the data"):
        predict(checkpoint, write(other, tmp_path / "other.h5ad"), SPLIT, config=CELLS)


def test_an_unseen_perturbation_is_an_error_and_leaves_no_file(checkpoint, tmp_path):
    obs = DATA.obs.astype(str)
    obs.loc[(SPLIT == "test").to_numpy() & (obs["condition"] == "G2").to_numpy(), "condition"] = "NEW"
    info = replace(DATA.info, conditions=token_table(obs["condition"], DATA.info.keys))
    path = write(curated(DATA.X, obs.astype("category"), DATA.genes, info), tmp_path / "new.h5ad")
    with pytest.raises(InputError, match="perturbations that training lacks: NEW"):
        predict(checkpoint, path, SPLIT, out=tmp_path / "p.h5ad", config=CELLS)
    assert not (tmp_path / "p.h5ad").exists()


def test_wrong_words(checkpoint, curated_path):
    with pytest.raises(InputError, match="Did you mean test"):
        predict(checkpoint, curated_path, SPLIT, "tests")
    with pytest.raises(InputError, match="Unknown kind"):
        PredictConfig("median")
    with pytest.raises(InputError, match="The split lacks"):
        predict(checkpoint, curated_path, NOISY_SPLIT)


@pytest.fixture
def pairs(tmp_path):
    """A table that asks for a pair and a single in one line."""
    path = tmp_path / "pairs.csv"
    path.write_text("condition,cell_type,treatment\nG2+G3,K562,none\nG1,K562,none\n")
    return path


def by_split(checkpoint, path, pairs, **settings):
    split = random_split(curated_again(path))
    return predict(checkpoint, path, split, config=MEAN, **settings)


def by_conditions(checkpoint, path, pairs, **settings):
    return predict_conditions(checkpoint, path, pairs, config=MEAN, **settings)


def curated_again(path):
    adata = ad.read_h5ad(path)
    return curated(adata.X, adata.obs, adata.var_names, DATA.info)


@pytest.mark.parametrize("ask", [by_split, by_conditions])
@pytest.mark.parametrize("change", ["expression", "cells"])
def test_a_checkpoint_of_another_version_of_the_file_is_refused_unless_that_is_meant(
    checkpoint, tmp_path, pairs, ask, change
):
    X, obs = DATA.X.copy(), DATA.obs
    if change == "expression":
        X.data[7] += 1
    else:
        obs = obs.set_axis([f"{name}-1" for name in obs.index])
    path = write(curated(X, obs, DATA.genes, DATA.info), tmp_path / "other.h5ad")
    with pytest.raises(InputError, match="trained on other data or another version"):
        ask(checkpoint, path, pairs)
    assert ask(checkpoint, path, pairs, other_data=True).n_obs


@pytest.mark.parametrize("ask", [by_split, by_conditions])
def test_only_the_controls_and_the_sample_are_read(tmp_path, monkeypatch, pairs, ask):
    data = Tiny(noise=0.05, cells=150, controls=150).data()
    order = np.lexsort([data.obs["cell_type"].astype(str), data.obs["condition"].astype(str)])
    data = curated(data.X[order], data.obs.iloc[order], data.genes, data.info)
    path = write(data, tmp_path / "sorted.h5ad")
    split = random_split(data)
    config = TrainConfig("control_mean", accelerator="cpu")
    result = fit(path, split, config, tmp_path / "run")
    whole = predict_conditions(result.best_checkpoint, path, pairs, config=MEAN)
    read, rows = [], H5adSource.read_rows

    def counted(self, start, stop):
        read.append((start, stop))
        return rows(self, start, stop)

    def refused(*_):
        raise AssertionError("the whole file is read")

    monkeypatch.setattr(H5adSource, "read_rows", counted)
    for memory in ("memory", "disk"):
        monkeypatch.setitem(READERS, memory, refused)
    predicted = ask(result.best_checkpoint, path, pairs)
    lines = {"by_split": 2, "by_conditions": 1}[ask.__name__]
    assert sum(stop - start for start, stop in read) <= 1024 + 150 * lines
    assert len(data.obs) == 2400
    if ask is by_conditions:
        np.testing.assert_array_equal(predicted.X, whole.X)
        assert predicted.obs["n_cells"].tolist() == [150, 150]
