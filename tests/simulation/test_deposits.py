"""Every simulated deposit: at the catalog's places, marked, reproducible, with the truth beside it."""

import anndata as ad
import numpy as np
import pandas as pd
import pytest

from perturbench_lamin.catalog.datasets import DATASETS, get_dataset
from perturbench_lamin.errors import InputError
from perturbench_lamin.ingestion.check import check_file
from perturbench_lamin.ingestion.fetch import fetch
from perturbench_lamin.ingestion.scperturb import open_h5ad
from perturbench_lamin.ingestion.seurat import read_seurat
from perturbench_lamin.simulation.compounds import DMSO, some_compounds, some_drugs
from perturbench_lamin.simulation.config import SimulationConfig
from perturbench_lamin.simulation.deposit import TRUTH_NAME
from perturbench_lamin.simulation.deposits import SIMULATORS, simulate_deposit
from perturbench_lamin.simulation.genes import REGULATORS, any_targets

CONFIG = SimulationConfig(n_cells=900, n_genes=60, n_singles=6, n_pairs=0, n_downstream=10)
H5AD = ("srivatsan20", "frangieh21", "szalata24")
CONTROLS = {"srivatsan20": "control", "frangieh21": "control", "szalata24": DMSO.name}
COLUMNS = {"srivatsan20": "perturbation", "frangieh21": "perturbation", "szalata24": "sm_name"}


@pytest.fixture(scope="module")
def mirror(tmp_path_factory):
    folder = tmp_path_factory.mktemp("mirror")
    for dataset in SIMULATORS:
        simulate_deposit(dataset, folder, CONFIG)
    return folder


def read(mirror, dataset):
    return ad.read_h5ad(mirror / dataset / get_dataset(dataset).raw_files[0].name)


def test_there_is_one_for_every_dataset():
    assert set(SIMULATORS) == set(DATASETS)


@pytest.mark.parametrize("dataset", SIMULATORS)
def test_they_serve_as_a_mirror(mirror, dataset):
    for raw_file in get_dataset(dataset).raw_files:
        assert fetch(raw_file, mirror / "nowhere", mirror=mirror).is_file()


@pytest.mark.parametrize("dataset", [*H5AD, "jiang25"])
def test_the_same_configuration_gives_the_same_bytes(mirror, tmp_path, dataset):
    again = simulate_deposit(dataset, tmp_path, CONFIG)
    for path in (*again, again[0].with_name(TRUTH_NAME)):
        assert path.read_bytes() == (mirror / dataset / path.name).read_bytes()


def test_an_alias_names_the_same_and_an_unknown_name_is_an_error(mirror, tmp_path):
    (path,) = simulate_deposit("OP3", tmp_path, CONFIG)
    assert path.read_bytes() == (mirror / "szalata24" / path.name).read_bytes()
    with pytest.raises(InputError, match="norman19"):
        simulate_deposit("norman18", tmp_path, CONFIG)


@pytest.mark.parametrize("dataset", H5AD)
def test_tables_agree_with_the_counts_and_the_truth(mirror, dataset):
    adata = read(mirror, dataset)
    assert adata.uns["simulated"]
    assert "Simulated" in adata.uns["simulation"]
    assert adata.shape == (CONFIG.n_cells, CONFIG.n_genes)
    assert adata.obs_names.is_unique
    if "ncounts" in adata.obs:
        np.testing.assert_array_equal(adata.obs["ncounts"], np.asarray(adata.X.sum(axis=1)).ravel())
        np.testing.assert_array_equal(adata.obs["ngenes"], np.asarray((adata.X > 0).sum(axis=1)).ravel())
    truth = pd.read_csv(mirror / dataset / TRUTH_NAME)
    conditions = set(adata.obs[COLUMNS[dataset]].dropna()) - {CONTROLS[dataset]}
    assert set(truth["condition"]) == conditions
    assert len(conditions) == CONFIG.n_singles
    assert set(truth["gene"]) <= set(adata.var_names)


def test_srivatsan20_has_what_its_curation_must_clean(mirror):
    adata = read(mirror, "srivatsan20")
    obs = adata.obs
    assert obs["cell_line"].isna().sum() == obs["perturbation"].isna().sum() == obs["dose_value"].isna().sum() > 0
    assert {"(+)-JQ1", "ENMD-2076 L-(+)-Tartaric acid"} <= set(obs["perturbation"])
    treated = obs["perturbation"].notna() & (obs["perturbation"] != "control")
    assert set(obs.loc[treated, "dose_value"]) == {10.0, 100.0, 1_000.0, 10_000.0}
    assert (obs.loc[obs["perturbation"] == "control", "dose_value"] == 0).all()
    assert set(obs["cell_line"].dropna()) == {"A549", "K562", "MCF7"}
    ids = adata.var["ensembl_id"]
    assert ids.duplicated().sum() == 1
    assert (~ids.str.startswith("ENSG")).sum() == 1


def test_frangieh21_has_three_treatments_and_counts_stored_by_gene(mirror):
    path = mirror / "frangieh21" / get_dataset("frangieh21").raw_files[0].name
    found = open_h5ad(path, required_obs=("perturbation", "perturbation_2"))
    assert found.layout == "csc_matrix"
    table = pd.crosstab(found.obs["perturbation_2"], found.obs["perturbation"])
    assert set(table.index) == {"Control", "Co-culture", "IFNγ"}
    assert (table > 0).all().all()


def test_szalata24_has_the_competitions_split(mirror):
    obs = read(mirror, "szalata24").obs
    assert set(obs["split"]) == {"train", "public_test", "private_test", "control"}
    assert (obs.loc[obs["sm_name"] == DMSO.name, "split"] == "control").all()
    assert set(obs.loc[obs["split"] == "control", "sm_name"]) == {DMSO.name, "Belinostat", "Dabrafenib"}
    held_out = obs["split"].isin(["public_test", "private_test"])
    assert set(obs.loc[held_out, "cell_type"]) == {"B cells", "Myeloid cells"}
    parts = obs[held_out].groupby(["sm_name", "cell_type"], observed=True)["split"].nunique()
    assert (parts == 1).all()
    smiles = obs.groupby("sm_name", observed=True)["SMILES"].nunique()
    assert (smiles == 1).all()
    assert obs["SMILES"].nunique() == obs["sm_name"].nunique()
    assert obs.loc[obs["sm_name"] == DMSO.name, "SMILES"].iloc[0] == "C[S+](C)[O-]"


def test_jiang25_has_six_lines_under_each_cytokine_and_shared_barcodes(mirror):
    found = [read_seurat(mirror / "jiang25" / raw_file.name) for raw_file in get_dataset("jiang25").raw_files]
    assert sum(len(one.obs) for one in found) == CONFIG.n_cells
    for one in found:
        assert (pd.crosstab(one.obs["cell_type"], one.obs["gene"]) > 0).all().all()
        assert one.obs["cell_type"].nunique() == 6
        assert set(one.obs["gene"]) == {"NT", *REGULATORS[:6]}
        np.testing.assert_array_equal(one.obs["nCount_RNA"], np.asarray(one.counts.sum(axis=1)).ravel())
        assert one.obs.index.is_unique
    assert found[0].obs.index[0] == found[4].obs.index[0]
    assert (found[0].counts[0] != found[4].counts[0]).nnz


@pytest.mark.parametrize("dataset", SIMULATORS)
@pytest.mark.parametrize("size", [(1, 2, 1), (7, 3, 2), (80, 100, 70)])
def test_they_can_be_tiny_and_have_more_targets_than_are_known(tmp_path, dataset, size):
    n_cells, n_genes, n_singles = size
    config = SimulationConfig(n_cells=n_cells, n_genes=n_genes, n_singles=n_singles, n_pairs=0, n_downstream=3)
    for path in simulate_deposit(dataset, tmp_path, config):
        check_file(path)


def test_names_go_on_at_any_size():
    compounds = some_compounds(200)
    assert len({compound.name for compound in compounds}) == len({compound.smiles for compound in compounds}) == 200
    assert any("+" in compound.smiles for compound in compounds)
    assert len(set(some_drugs(200))) == 200
    assert len(set(any_targets(REGULATORS, 250))) == 250
    assert any_targets(REGULATORS, 3) == REGULATORS[:3]
