import dataclasses

import anndata as ad
import numpy as np
import pandas as pd
import pytest

from perturbench_lamin.catalog.datasets import get_dataset
from perturbench_lamin.ingestion.fetch import fetch
from perturbench_lamin.ingestion.scperturb import open_h5ad
from perturbench_lamin.simulation.config import SimulationConfig
from perturbench_lamin.simulation.norman19 import simulate_norman19

CONFIG = SimulationConfig(n_cells=1_200, n_genes=150, n_singles=6, n_pairs=8, n_downstream=20)


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return simulate_norman19(tmp_path_factory.mktemp("mirror"), CONFIG)


def test_it_serves_as_a_mirror(path):
    raw_file = get_dataset("norman19").raw_files[0]
    assert fetch(raw_file, path.parent, mirror=path.parents[1]) == path
    assert open_h5ad(path).obs.shape == (1_200, 20)


def test_it_says_that_it_is_simulated(path):
    uns = ad.read_h5ad(path, backed="r").uns
    assert uns["simulated"]
    assert "Simulated" in uns["simulation"]


def test_columns_are_those_of_the_deposit(path, shared_file):
    real = ad.read_h5ad(shared_file("data/raw/norman19/NormanWeissman2019_filtered.h5ad"))
    made = ad.read_h5ad(path)
    assert set(real.obs) <= set(made.obs)
    for column in real.obs:
        assert isinstance(made.obs[column].dtype, type(real.obs[column].dtype)), column
    for column in ("cell_line", "tissue_type", "disease", "perturbation_type", "celltype", "organism", "cancer"):
        assert set(made.obs[column]) == set(real.obs[column])
    assert made.var.index.name == real.var.index.name == "gene_symbol"
    assert list(made.var) == list(real.var)
    assert type(made.X) is type(real.X)
    assert made.X.dtype == real.X.dtype


def test_columns_agree_with_the_counts_and_the_conditions(path):
    adata = ad.read_h5ad(path)
    obs = adata.obs
    assert obs.index.is_unique
    np.testing.assert_array_equal(obs["ncounts"], np.asarray(adata.X.sum(axis=1)).ravel())
    np.testing.assert_array_equal(obs["ngenes"], (adata.X > 0).sum(axis=1).A1)
    np.testing.assert_array_equal(adata.var["ncells"], (adata.X > 0).sum(axis=0).A1)
    names = obs["perturbation"].astype(str)
    parts = names.str.split("_").where(names != "control", "")
    assert (parts.str.len() == obs["nperts"]).all()
    assert (names == "control").sum() == round(CONFIG.control_fraction * CONFIG.n_cells)
    assert names.nunique() == 1 + 6 + 8
    assert {part for part in parts.explode().dropna() if part} <= set(adata.var_names)


def test_the_truth_stands_beside_it(path):
    truth = pd.read_csv(path.with_name("simulated_effects.csv"))
    assert list(truth) == ["condition", "gene", "log_fold_change"]
    assert set(truth["condition"]) == set(ad.read_h5ad(path).obs["perturbation"]) - {"control"}


def test_the_same_configuration_gives_the_same_files(path, tmp_path):
    again = simulate_norman19(tmp_path, CONFIG)
    for name in (path.name, "simulated_effects.csv"):
        assert again.with_name(name).read_bytes() == path.with_name(name).read_bytes()


def test_singles_predict_pairs_better_than_no_change_does(tmp_path):
    """What the demonstration rests on: on log-normalised means, the sum of two singles' shifts beats zero."""
    adata = ad.read_h5ad(simulate_norman19(tmp_path, dataclasses.replace(CONFIG, n_cells=3_000)))
    x = adata.X.toarray()
    x = np.log1p(x / x.sum(axis=1, keepdims=True) * np.median(x.sum(axis=1)))
    means = pd.DataFrame(x).groupby(adata.obs["perturbation"].astype(str).to_numpy()).mean()
    shifts = means - means.loc["control"]
    pairs = [name for name in shifts.index if "_" in name]
    added = np.stack([sum(shifts.loc[name] for name in pair.split("_")) for pair in pairs])
    observed = shifts.loc[pairs].to_numpy()
    assert np.sqrt(((observed - added) ** 2).mean()) < 0.75 * np.sqrt((observed**2).mean())
