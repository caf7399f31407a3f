"""Preprocessing: equal to the reference and to scanpy, to itself however it is run, and clear about bad input."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import warnings
from dataclasses import replace

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from perturbench_lamin.conditions import ObsKeys
from perturbench_lamin.curation import held
from perturbench_lamin.curation import source as source_module
from perturbench_lamin.curation.preprocess import DEGS_KEY, preprocess, preprocess_file
from perturbench_lamin.curation.report import Limits, PreprocessParams
from perturbench_lamin.curation.source import MatrixSource
from perturbench_lamin.curation.source_h5ad import H5adSource
from perturbench_lamin.errors import InputError

KEYS = ObsKeys("condition", ("cell_type",))


def simulated(cells: int = 240, genes: int = 90, states: int = 2, conditions: int = 3, seed: int = 0):
    """Counts with some effect, and their tables."""
    rng = np.random.default_rng(seed)
    condition = rng.integers(0, conditions + 1, cells)
    state = rng.integers(0, states, cells)
    condition[: 2 * states], state[: 2 * states] = 0, np.repeat(np.arange(states), 2)
    mean = rng.lognormal(-1, 1.3, genes) * np.ones((cells, 1))
    mean[np.arange(cells), condition] *= 3
    counts = rng.poisson(mean * rng.lognormal(0, 0.4, (cells, 1))).astype(np.float32)
    labels = np.array(["control", *(f"g{i:03d}" for i in range(1, conditions + 1))])
    obs = pd.DataFrame({"condition": labels[condition], "cell_type": [f"line{i}" for i in state]})
    obs.index = [f"c{i}" for i in range(cells)]
    var = pd.DataFrame(index=[f"g{i:03d}" for i in rng.permutation(genes)])
    return sparse.csr_matrix(counts), obs, var


def run(matrix, obs, var, out, keys=KEYS, params=None, **options):
    source = MatrixSource(matrix, obs.index, var.index)
    params = params or PreprocessParams(20, 5)
    return preprocess(source, obs, var, keys, params, out=out, **options)


def scanpy_steps(matrix, obs, var, n_top: int, n_degs: int):
    """The reference's steps: the AnnData, the HVG mask and the t-test's scores by state and condition."""
    import scanpy as sc

    data = ad.AnnData(matrix.copy(), obs.copy(), var.copy())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        sc.pp.filter_genes(data, min_cells=10)
        data.layers["counts"] = data.X.copy()
        sc.pp.normalize_total(data)
        sc.pp.log1p(data)
        data.obs["state"] = data.obs["cell_type"].astype("category")
        sc.pp.highly_variable_genes(data, flavor="seurat_v3", layer="counts", batch_key="state", n_top_genes=n_top)
        scores = {}
        for state in data.obs["cell_type"].unique():
            part = data[data.obs["cell_type"] == state].copy()
            part.obs["condition"] = part.obs["condition"].astype("category")
            sc.tl.rank_genes_groups(part, "condition", reference="control", method="t-test", rankby_abs=True)
            found = part.uns["rank_genes_groups"]
            for name in found["names"].dtype.names:
                scores[(state, name)] = pd.Series(found["scores"][name], index=found["names"][name]).astype(float)
    return data, scores


@pytest.mark.parametrize(("name", "state"), [("synthetic", "cell_type"), ("norman19_real", "cell_line")])
def test_the_reference_selects_the_same_genes(shared_file, tmp_path, name, state):
    expected = json.loads(shared_file(f"golden/curation/{name}_params.json").read_text())
    selected = pd.read_csv(shared_file(f"golden/curation/{name}_selected_genes.csv"), keep_default_na=False)
    degs = pd.read_csv(shared_file(f"golden/curation/{name}_deg.csv.gz"), keep_default_na=False)
    raw = "golden/curation/raw_counts.h5ad"
    real = "data/raw/norman19/NormanWeissman2019_filtered.h5ad"
    source = H5adSource(shared_file(raw if name == "synthetic" else real))
    obs = source.obs
    if name != "synthetic":
        obs = obs.assign(condition=obs["perturbation"].astype(str).str.replace("_", "+"))
    params = PreprocessParams(expected["highly_variable"], expected["degs"])
    keys = ObsKeys("condition", (state,))
    report = preprocess(source, obs, source.var, keys, params, out=tmp_path / "out.h5ad")
    data = ad.read_h5ad(tmp_path / "out.h5ad")
    assert list(data.var_names) == selected["gene"].tolist()
    assert list(data.shape) == expected["shape"]
    assert report.genes_expressed == expected["genes_after_min_cells"]
    np.testing.assert_array_equal(data.var["highly_variable"], selected["highly_variable"])
    np.testing.assert_array_equal(data.var["sum_counts"], selected["sum_counts"])
    np.testing.assert_allclose(data.var["mean_log1p"], selected["mean_log1p"], rtol=5e-6)  # theirs added in float32
    ours = data.uns[DEGS_KEY]
    key = ours[state].astype(str) + "_" + ours["condition"].astype(str)
    assert (
        ours.groupby(key)["de_gene"].agg(list).to_dict()
        == degs.groupby("covariate_perturbation")["gene"].agg(list).to_dict()
    )


@given(seed=st.integers(0, 10_000), states=st.integers(1, 3), conditions=st.integers(1, 4), n_top=st.integers(3, 60))
@settings(max_examples=12, deadline=None)
def test_scanpy_agrees_on_random_data(tmp_path_factory, seed, states, conditions, n_top):
    matrix, obs, var = simulated(240, 90, states, conditions, seed)
    out = tmp_path_factory.mktemp("parity") / "out.h5ad"
    report = run(matrix, obs, var, out, params=PreprocessParams(n_top, 6))
    assert not [note for note in report.notes if "not tested" in note.reason or "span" in note.reason]
    ours = ad.read_h5ad(out)
    theirs, scores = scanpy_steps(matrix, obs, var, n_top, 6)
    variable = set(theirs.var_names[theirs.var["highly_variable"]])
    assert set(ours.var_names[ours.var["highly_variable"]]) == variable
    degs = ours.uns[DEGS_KEY]
    assert set(map(tuple, degs[["cell_type", "condition"]].drop_duplicates().to_numpy())) == set(scores)
    for (state, condition), part in degs.groupby(["cell_type", "condition"], observed=True):
        other = scores[(state, condition)]
        size = other.abs().sort_values(ascending=False)
        np.testing.assert_allclose(part["de_score"], other[part["de_gene"].astype(str)], rtol=1e-4)
        np.testing.assert_allclose(part["de_score"].abs(), size.iloc[: len(part)], rtol=1e-4)  # equal up to ties
    perturbed = set(obs["condition"]) & set(theirs.var_names)
    assert set(ours.var_names) == variable | set(degs["de_gene"]) | perturbed
    np.testing.assert_array_equal(ours.layers["counts"].toarray(), theirs[:, ours.var_names].layers["counts"].toarray())
    np.testing.assert_allclose(ours.X.toarray(), theirs[:, ours.var_names].X.toarray(), rtol=3e-7)


def test_the_file_keeps_the_contract(tmp_path):
    matrix, obs, var = simulated()
    obs["ncounts"], obs["well"] = 7.0, [f"w{i % 5}" for i in range(len(obs))]
    var["ensembl_id"] = [f"ENSG{i:011d}" for i in range(len(var))]
    report = run(matrix, obs, var, tmp_path / "out.h5ad", dataset="toy")
    data = ad.read_h5ad(tmp_path / "out.h5ad")
    assert data.shape == (report.cells, report.genes_out) == (240, data.n_vars)
    assert data.X.dtype == np.float32
    assert data.layers["counts"].dtype == np.int32
    assert list(data.var_names) == sorted(data.var_names)
    dense = matrix.toarray()
    np.testing.assert_array_equal(data.obs["ncounts"], dense.sum(axis=1))
    np.testing.assert_array_equal(data.obs["ngenes"], (dense > 0).sum(axis=1))
    np.testing.assert_array_equal(data.obs["deposited_ncounts"], 7.0)
    columns = var.index.get_indexer(data.var_names)
    np.testing.assert_array_equal(data.layers["counts"].toarray(), dense[:, columns])
    np.testing.assert_array_equal(data.var["ensembl_id"], var["ensembl_id"].iloc[columns])
    np.testing.assert_array_equal(data.var["n_cells"], (dense[:, columns] > 0).sum(axis=0))
    np.testing.assert_allclose(data.var["mean_log1p"], data.X.toarray().mean(axis=0, dtype=float), rtol=1e-12)
    why = data.var[["highly_variable", "differentially_expressed", "perturbed"]]
    assert why.any(axis=1).all()
    assert why.sum().tolist() == [report.highly_variable, report.differentially_expressed, report.perturbed]
    assert data.uns["perturbench"]["dataset"] == "toy"
    assert json.loads(data.uns["perturbench"]["parameters"])["report"] == json.loads(json.dumps(report.to_json()))
    assert data.uns["perturbench"]["conditions"]["token"].tolist() == ["g001", "g002", "g003"]
    assert "log1p" in data.uns
    assert report.table()["step"].tolist()[:7][-1] == "kept"
    backed = ad.read_h5ad(tmp_path / "out.h5ad", backed="r")
    np.testing.assert_array_equal(backed.X[3:9].toarray(), data.X[3:9].toarray())
    backed.file.close()


def test_how_it_runs_does_not_change_a_byte(tmp_path, monkeypatch):
    matrix, obs, var = simulated(400, 120, 3, 4)
    run(matrix, obs, var, tmp_path / "a.h5ad", limits=Limits(threads=1))
    run(matrix, obs, var, tmp_path / "b.h5ad", limits=Limits(threads=3))
    monkeypatch.setattr(source_module, "CHUNK_ENTRIES", 700)
    run(matrix, obs, var, tmp_path / "c.h5ad", limits=Limits(threads=2))
    run(matrix.tocsc(), obs, var, tmp_path / "d.h5ad", limits=Limits(threads=2, memory_mib=0))  # a block a group
    run(matrix, obs, var, tmp_path / "e.h5ad", limits=Limits(threads=2, held_mib=0))
    monkeypatch.setattr(held, "ENTRY_BYTES", 1000)  # about a thousand values fit a MiB: some chunks are held
    run(matrix, obs, var, tmp_path / "f.h5ad", limits=Limits(threads=2, held_mib=1))
    run(matrix, obs, var, tmp_path / "g.h5ad", limits=Limits(threads=2, held_mib=1, memory_mib=0))
    first = (tmp_path / "a.h5ad").read_bytes()
    assert all((tmp_path / f"{name}.h5ad").read_bytes() == first for name in "bcdefg")


def test_counts_too_large_to_hold_are_read_again(tmp_path):
    matrix, obs, var = simulated()
    matrix.data[len(matrix.data) // 2] = 70_000
    run(matrix, obs, var, tmp_path / "a.h5ad")
    run(matrix, obs, var, tmp_path / "b.h5ad", limits=Limits(held_mib=0))
    assert (tmp_path / "a.h5ad").read_bytes() == (tmp_path / "b.h5ad").read_bytes()


def test_the_hash_seed_does_not_change_a_byte(tmp_path):
    matrix, obs, var = simulated()
    ad.AnnData(matrix, obs, var).write_h5ad(tmp_path / "raw.h5ad")
    code = (
        "import sys; from perturbench_lamin.conditions import ObsKeys;"
        "from perturbench_lamin.curation.preprocess import preprocess_file;"
        "from perturbench_lamin.curation.report import PreprocessParams;"
        "preprocess_file(sys.argv[1], sys.argv[2], ObsKeys('condition', ('cell_type',)), PreprocessParams(20, 5))"
    )
    for seed in ("1", "2"):
        environment = os.environ | {"PYTHONHASHSEED": seed}
        command = [sys.executable, "-c", code, str(tmp_path / "raw.h5ad"), str(tmp_path / f"{seed}.h5ad")]
        subprocess.run(command, env=environment, check=True)
    assert (tmp_path / "1.h5ad").read_bytes() == (tmp_path / "2.h5ad").read_bytes()


@pytest.mark.parametrize("dtype", [np.float64, np.int64, np.uint8])
def test_the_number_type_of_counts_does_not_matter(tmp_path, dtype):
    matrix, obs, var = simulated()
    run(matrix, obs, var, tmp_path / "a.h5ad")
    run(matrix.astype(dtype), obs, var, tmp_path / "b.h5ad")
    assert (tmp_path / "a.h5ad").read_bytes() == (tmp_path / "b.h5ad").read_bytes()


@pytest.mark.parametrize("min_cells", [0, 1, 16, 17, 60])
def test_library_sizes_count_kept_genes_alone(tmp_path, min_cells):
    matrix, obs, var = simulated()
    report = run(matrix, obs, var, tmp_path / "out.h5ad", params=PreprocessParams(20, 5, min_cells))
    dense = matrix.toarray()
    kept = (dense > 0).sum(axis=0) >= min_cells
    assert report.genes_expressed == kept.sum()
    totals = dense[:, kept].sum(axis=1)
    assert report.target_sum == np.float32(np.median(totals))
    data = ad.read_h5ad(tmp_path / "out.h5ad")
    expected = np.log1p(data.layers["counts"].toarray() / (totals / np.median(totals))[:, None])
    np.testing.assert_allclose(data.X.toarray(), expected, rtol=1e-6)


@pytest.mark.parametrize(
    ("value", "what", "where"),
    [
        (-1.0, "negative", "value -1"),
        (0.5, "fractions", "value 0.5"),
        (np.nan, "not finite", "value nan"),
        (np.inf, "not finite", "value inf"),
        (2.0**25, "above 16,777,216", "value 33554432"),
    ],
)
def test_what_is_no_count_is_named(tmp_path, value, what, where):
    matrix, obs, var = simulated()
    matrix.data[matrix.indptr[7]] = value
    gene = var.index[matrix.indices[matrix.indptr[7]]]
    with pytest.raises(InputError, match=what) as caught:
        run(matrix, obs, var, tmp_path / "out.h5ad")
    assert f"cell c7, gene {gene}, {where}" in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_log_transformed_values_are_recognised(tmp_path):
    matrix, obs, var = simulated()
    with pytest.raises(InputError, match="looks log-transformed"):
        run(matrix.log1p(), obs, var, tmp_path / "out.h5ad")


def test_states_and_groups_that_cannot_be_tested(tmp_path):
    matrix, obs, var = simulated()
    line0 = obs["cell_type"] == "line0"
    with pytest.raises(InputError, match="No cell has the control value"):
        run(matrix, obs.replace({"condition": {"control": "ctrl"}}), var, tmp_path / "a.h5ad")
    bare = obs.assign(condition=obs["condition"].where(~line0, "g001"))
    with pytest.raises(InputError, match="No control cells in 1 covariate states"):
        run(matrix, bare, var, tmp_path / "a.h5ad")
    first = obs.index[line0 & (obs["condition"] == "control")][0]
    bare.loc[first, "condition"] = "control"
    with pytest.raises(InputError, match="a single control cell"):
        run(matrix, bare, var, tmp_path / "a.h5ad")


def test_a_group_of_one_cell_is_left_out_and_recorded(tmp_path):
    matrix, obs, var = simulated()
    obs.iloc[-1, 0] = "g050"
    report = run(matrix, obs, var, tmp_path / "out.h5ad")
    (note,) = [note for note in report.notes if "one cell" in note.reason]
    assert (note.count, note.examples) == (1, f"{obs['cell_type'].iloc[-1]} / g050")
    data = ad.read_h5ad(tmp_path / "out.h5ad")
    assert "g050" not in set(data.uns[DEGS_KEY]["condition"])
    assert data.var.loc["g050", "perturbed"]


def test_a_state_of_one_control_cell_is_left_out_and_recorded(tmp_path):
    matrix, obs, var = simulated()
    obs.iloc[0, 1] = "lonely"
    report = run(matrix, obs, var, tmp_path / "out.h5ad")
    assert [note.examples for note in report.notes if "states of one cell" in note.reason] == ["lonely"]


def test_more_variable_genes_than_there_are_keeps_all(tmp_path):
    matrix, obs, var = simulated()
    report = run(matrix, obs, var, tmp_path / "out.h5ad", params=PreprocessParams(4000, 5))
    assert report.genes_out == report.genes_expressed == report.highly_variable
    assert any("fewer genes than the 4,000" in note.reason for note in report.notes)


def test_cells_without_counts_stay_and_are_recorded(tmp_path):
    matrix, obs, var = simulated()
    dense = matrix.toarray()
    dense[5] = 0
    report = run(sparse.csr_matrix(dense), obs, var, tmp_path / "out.h5ad")
    assert [note.examples for note in report.notes if "without counts" in note.reason] == ["c5"]
    assert ad.read_h5ad(tmp_path / "out.h5ad").X[5].nnz == 0


def test_too_many_empty_cells_are_refused(tmp_path):
    matrix, obs, var = simulated()
    dense = matrix.toarray()
    dense[100:] = 0
    with pytest.raises(InputError, match="median cell has no counts"):
        run(sparse.csr_matrix(dense), obs, var, tmp_path / "out.h5ad")


def test_selection_on_some_cells_ignores_the_others(tmp_path):
    matrix, obs, var = simulated(400)
    train = np.random.default_rng(3).random(400) < 0.7
    train[:4] = True
    report = run(matrix, obs, var, tmp_path / "a.h5ad", selection=train)
    assert report.selection_cells == train.sum()
    shuffled = obs.copy()
    other = np.flatnonzero(~train)
    shuffled.iloc[other, 0] = shuffled.iloc[np.roll(other, 1), 0].to_numpy()
    run(matrix, shuffled, var, tmp_path / "b.h5ad", selection=train)
    a, b = ad.read_h5ad(tmp_path / "a.h5ad"), ad.read_h5ad(tmp_path / "b.h5ad")
    pd.testing.assert_frame_equal(a.var, b.var)
    pd.testing.assert_frame_equal(a.uns[DEGS_KEY], b.uns[DEGS_KEY])
    run(matrix, obs, var, tmp_path / "c.h5ad")
    assert not ad.read_h5ad(tmp_path / "c.h5ad").uns[DEGS_KEY].equals(a.uns[DEGS_KEY])


def test_no_covariate_is_one_state(tmp_path):
    matrix, obs, var = simulated(states=1)
    run(matrix, obs, var, tmp_path / "a.h5ad", keys=replace(KEYS, covariates=()))
    run(matrix, obs, var, tmp_path / "b.h5ad")
    a, b = ad.read_h5ad(tmp_path / "a.h5ad"), ad.read_h5ad(tmp_path / "b.h5ad")
    pd.testing.assert_frame_equal(a.var, b.var)
    assert list(a.uns[DEGS_KEY].columns) == ["condition", "de_rank", "de_gene", "de_score"]


def test_states_that_join_to_one_text_stay_apart(tmp_path):
    matrix, obs, var = simulated(states=2)
    first = obs["cell_type"] == "line0"
    obs = obs.assign(cell_type=np.where(first, "a_b", "a"), treatment=np.where(first, "c", "b_c"))
    report = run(matrix, obs, var, tmp_path / "a.h5ad", keys=ObsKeys("condition", ("cell_type", "treatment")))
    assert report.states == 2


@pytest.mark.parametrize("what", ["cells", "genes"])
def test_names_must_be_unique(tmp_path, what):
    matrix, obs, var = simulated()
    table = obs if what == "cells" else var
    table.index = [table.index[0], *table.index[:1], *table.index[2:]]
    with pytest.raises(InputError, match=rf"names of {what} occur more than once.*\n.*make_unique"):
        run(matrix, obs, var, tmp_path / "a.h5ad")


def test_tables_must_fit_the_source(tmp_path):
    matrix, obs, var = simulated()
    source = MatrixSource(matrix, obs.index, var.index)
    with pytest.raises(InputError, match="in the source's order"):
        preprocess(source, obs.iloc[::-1], var, KEYS, out=tmp_path / "a.h5ad")


@pytest.mark.parametrize("kwargs", [{"degs": -1}, {"target_sum": 0.0}, {"ties": "random"}])
def test_wrong_parameters_are_refused(kwargs):
    with pytest.raises(InputError):
        PreprocessParams(**kwargs)


def test_columns_that_hdf5_cannot_hold_are_refused(tmp_path):
    matrix, obs, var = simulated()
    obs["mixed"] = [1 if i % 2 else "a" for i in range(len(obs))]
    with pytest.raises(InputError, match="'mixed' mixes int, str"):
        run(matrix, obs, var, tmp_path / "a.h5ad")
    assert list(tmp_path.iterdir()) == []


def test_a_file_keeps_its_condition_column(tmp_path):
    matrix, obs, var = simulated()
    obs = obs.rename(columns={"condition": "gene_target"})
    ad.AnnData(matrix, obs, var).write_h5ad(tmp_path / "raw.h5ad")
    keys = ObsKeys("gene_target", ("cell_type",))
    report = preprocess_file(tmp_path / "raw.h5ad", tmp_path / "out.h5ad", keys, PreprocessParams(20, 5))
    assert report.cells == 240
    assert "gene_target" in ad.read_h5ad(tmp_path / "out.h5ad").obs


def test_ties_by_order_do_not_depend_on_the_sort(tmp_path):
    matrix, obs, var = simulated()
    dense = matrix.toarray()
    dense[:, 40:80] = dense[:, :1] > 0  # forty genes with the same counts
    chosen = {}
    for ties in ("order", "scanpy"):
        report = run(sparse.csr_matrix(dense), obs, var, tmp_path / "a.h5ad", params=PreprocessParams(25, 0, ties=ties))
        data = ad.read_h5ad(tmp_path / "a.h5ad")
        chosen[ties] = set(data.var_names[data.var["highly_variable"]])
        noted = [note.count for note in report.notes if "equally variable" in note.reason]
        assert noted == ([] if chosen[ties] == chosen["order"] else [len(chosen[ties] - chosen["order"])])
    tied = [name for name in var.index[40:80] if name in chosen["order"]]
    assert tied == list(var.index[40 : 40 + len(tied)])


def test_a_failing_write_leaves_the_old_file(tmp_path, monkeypatch):
    from perturbench_lamin.curation import writer

    matrix, obs, var = simulated()
    (tmp_path / "out.h5ad").write_bytes(b"old")

    def full(*arguments):
        raise OSError("No space left on device")

    monkeypatch.setattr(writer.CuratedWriter, "finish", full)
    with pytest.raises(OSError, match="No space"):
        run(matrix, obs, var, tmp_path / "out.h5ad")
    assert [path.name for path in tmp_path.iterdir()] == ["out.h5ad"]
    assert (tmp_path / "out.h5ad").read_bytes() == b"old"
