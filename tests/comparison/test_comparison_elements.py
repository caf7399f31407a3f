"""Raw, obsm, varm, obsp, varp, tables, unknown groups, forms: all of a file is compared, or said not to be."""

from __future__ import annotations

import shutil

import anndata as ad
import h5py
import numpy as np
import pandas as pd
import pytest
from comparison_files import permuted, random_cells
from scipy import sparse

from perturbench_lamin.comparison.compare import compare_files
from perturbench_lamin.comparison.report import write_report
from perturbench_lamin.comparison.result import Verdict
from perturbench_lamin.comparison.settings import IGNORABLE, CompareConfig
from perturbench_lamin.comparison.text import as_text


@pytest.fixture
def paths(tmp_path):
    return tmp_path / "a.h5ad", tmp_path / "b.h5ad"


def full_cells(seed=0):
    """Cells with something in every place of an AnnData object."""
    rng = np.random.default_rng(seed)
    a = random_cells(rng)
    raw = ad.AnnData(sparse.csr_matrix(rng.random((a.n_obs, 11)).astype(np.float32)), a.obs[[]])
    raw.var_names = [*a.var_names, "MORE1", "MORE2", "MORE3"]
    raw.var["chromosome"] = [str(k % 3) for k in range(11)]
    raw.varm["loadings"] = rng.normal(size=(11, 2))
    a.raw = raw
    a.obsm["X_pca"] = rng.normal(size=(a.n_obs, 3))
    a.obsm["cube"] = rng.normal(size=(a.n_obs, 3, 2))
    a.obsm["sparse"] = sparse.csr_matrix(rng.poisson(0.5, (a.n_obs, 4)).astype(np.float32))
    a.obsm["table"] = pd.DataFrame({"x": np.arange(a.n_obs), "y": list("abcd" * 3)}, index=a.obs_names)
    a.varm["loadings"] = rng.normal(size=(a.n_vars, 2))
    a.varm["table"] = pd.DataFrame({"x": np.arange(a.n_vars)}, index=a.var_names)
    a.obsp["near"] = sparse.csr_matrix(rng.poisson(0.5, (a.n_obs, a.n_obs)).astype(np.float32))
    a.varp["alike"] = rng.normal(size=(a.n_vars, a.n_vars))
    a.uns["deep"] = {"in": {"table": pd.DataFrame({"x": [1.5, 2]}), "matrix": sparse.csr_matrix(np.eye(3))}}
    return a


def written(paths, a, b, **options):
    a.write_h5ad(paths[0])
    b.write_h5ad(paths[1], **options)
    return compare_files(*paths)


def _raw(change):
    def changed(a):
        raw = a.raw.to_adata()
        change(raw)
        a.raw = raw

    return changed


def _add(mapping, name, where):
    def changed(a):
        value = getattr(a, mapping)[name]
        if hasattr(value, "iloc"):
            value.iloc[where] += 1
        elif sparse.issparse(value):
            value = value.tolil()
            value[where] += 1
            value = value.tocsr()
        else:
            value[where] += 1
        getattr(a, mapping)[name] = value

    return changed


def _scaled_raw(raw):
    raw.X = raw.X * 2


def _raw_column(raw):
    raw.var["chromosome"] = raw.var["chromosome"].astype(str).replace("1", "7")


def _raw_loadings(raw):
    raw.varm["loadings"] = raw.varm["loadings"] + np.eye(11, 2, -10)


CHANGES = {
    "raw/X are the same only up to one scale of 2": _raw(_scaled_raw),
    "raw/var column chromosome differs in 4 of 11 rows; the values correspond one to one: 1 → 7 (4)": _raw(_raw_column),
    "1 of 22 values of raw/varm/loadings differ, in 1 of 11 genes of raw and 1 columns": _raw(_raw_loadings),
    "1 of 36 values of obsm/X_pca differ, in 1 of 12 cells and 1 columns": _add("obsm", "X_pca", (4, 1)),
    "1 of 72 values of obsm/cube differ, in 1 of 12 cells and 1 columns": _add("obsm", "cube", (4, 1, 0)),
    "values of obsm/sparse differ, in 1 of 12 cells and 1 columns": _add("obsm", "sparse", (2, 1)),
    "obsm/table column x differs in 1 of 12 rows: 3 → 4 (1)": _add("obsm", "table", (3, 0)),
    "1 of 16 values of varm/loadings differ, in 1 of 8 genes and 1 columns": _add("varm", "loadings", (4, 1)),
    "varm/table column x differs in 1 of 8 rows: 3 → 4 (1)": _add("varm", "table", (3, 0)),
    "values of obsp/near differ, in 1 of 12 cells and 1 cells": _add("obsp", "near", (4, 1)),
    "1 of 64 values of varp/alike differ, in 1 of 8 genes and 1 genes": _add("varp", "alike", (4, 1)),
    "uns deep/in/table differs": lambda a: a.uns["deep"]["in"]["table"].__setitem__("x", [1.5, 3]),
    "uns deep/in/matrix differs": lambda a: a.uns["deep"]["in"].__setitem__("matrix", sparse.csr_matrix(2 * np.eye(3))),
}  # fmt: skip


@pytest.mark.parametrize("text", CHANGES)
def test_one_change_in_any_place_is_the_one_difference(paths, text):
    a = full_cells()
    b = a.copy()
    CHANGES[text](b)
    found = written(paths, a, b)
    (difference,) = found.differences
    assert text in difference
    assert found.verdict is Verdict.DIFFERENT
    assert write_report(found, paths[0].parent / "page.html").read_text().count("differ</h2>") in (0, 1)


def test_all_places_are_compared_in_any_order_of_cells_and_genes(paths):
    a = full_cells()
    found = written(paths, a, permuted(a, np.random.default_rng(1)))
    assert found.verdict is Verdict.EQUIVALENT
    assert found.senses == ("cell order", "gene order")
    names = [part.name for part in found.parts]
    assert names == [
        "cells", "genes", "counts", "X", "raw", "obsm", "varm", "obsp", "varp", "obs", "var", "uns",
    ]  # fmt: skip


def test_a_value_of_a_reordered_pair_matrix_is_found_where_it_stands(paths):
    a = full_cells()
    b = permuted(a, np.random.default_rng(1))
    b.varp["alike"][2, 5] += 1
    (first,) = written(paths, a, b).part("varp").details["varp/alike"]["first"]
    assert (first["cell"], first["gene"]) == (b.var_names[2], b.var_names[5])


@pytest.mark.parametrize("place", ["raw", "obsm", "varm", "obsp", "varp"])
def test_what_only_one_file_has_is_a_difference_unless_common(paths, place):
    a = full_cells()
    b = a.copy()
    if place == "raw":
        b.raw = None
    else:
        for name in list(getattr(b, place)):
            del getattr(b, place)[name]
    assert [text.startswith(f"{place} only in A: ") for text in written(paths, a, b).differences] == [True]
    assert compare_files(*paths, CompareConfig(common=True)).verdict is Verdict.EQUIVALENT


def test_raw_that_holds_the_counts_lacks_nothing_and_what_it_has_beyond_them_is_named(paths):
    a = random_cells(np.random.default_rng(0))
    b = a.copy()
    b.raw = ad.AnnData(b.layers.pop("counts").astype(np.float32), b.obs, b.var)
    found = written(paths, a, b)
    assert found.verdict is Verdict.EQUIVALENT
    assert "raw only in B: its counts, which were compared" in found.senses
    raw = ad.concat(
        [
            b.raw.to_adata(),
            ad.AnnData(sparse.csr_matrix(np.ones((12, 1), np.float32)), b.obs, pd.DataFrame(index=["LATE"])),
        ],
        axis=1,
    )
    raw.var["length"] = 1
    b.raw = raw
    assert written(paths, a, b).differences == ("raw only in B: raw/X of LATE, raw/var/length",)


def test_counts_in_raw_of_both_are_not_up_to_a_scale(paths):
    a = random_cells(np.random.default_rng(0))
    a.raw = ad.AnnData(a.layers.pop("counts").astype(np.float32), a.obs, a.var)
    b = a.copy()
    b.raw = ad.AnnData(a.raw.X * 2, a.obs, a.var)
    assert written(paths, a, b).differences == ("raw/X are the same only up to one scale of 2",)


def test_genes_of_raw_beyond_those_of_x_count(paths):
    a = full_cells()
    b = a.copy()
    b.raw = a.raw.to_adata()[:, :-1].copy()
    assert "genes of raw only in A: MORE3" in written(paths, a, b).differences


def test_counts_of_decimal_dtype_are_compared_exactly(paths):
    a = random_cells(np.random.default_rng(0))
    a.layers["counts"] = sparse.csr_matrix(a.layers["counts"].toarray().astype(np.float32) + 1_000_000)
    b = a.copy()
    b.layers["counts"].data[5] += 1
    assert written(paths, a, b).part("counts").details["unlike_values"] == 1


def test_files_without_x_are_compared_by_their_layers(paths):
    a = random_cells(np.random.default_rng(0))
    bare = ad.AnnData(None, a.obs, a.var, layers={"counts": a.layers["counts"]})
    found = written(paths, bare, bare, compression="gzip")
    assert found.verdict is Verdict.IDENTICAL
    assert "X" not in [part.name for part in found.parts]
    assert found.part("counts").details["values"] > 0
    changed = bare.copy()
    changed.layers["counts"].data[0] += 1
    assert written(paths, bare, changed).part("counts").details["unlike_values"] == 1
    with_x = written(paths, bare, ad.AnnData(a.layers["counts"], a.obs, a.var, layers={"counts": a.layers["counts"]}))
    assert with_x.differences == ("matrices only in B: X",)
    bare.obs_names = [f"other{k}" for k in range(bare.n_obs)]
    bare.write_h5ad(paths[0])
    changed = permuted(bare, np.random.default_rng(2))
    changed.obs_names = [str(k) for k in range(bare.n_obs)]
    changed.write_h5ad(paths[1])
    assert compare_files(*paths).part("cells").details["matched_by"] == "content"


def test_files_of_no_cell_are_compared(paths):
    a = random_cells(np.random.default_rng(0))[:0].copy()
    assert written(paths, a, a, compression="gzip").verdict is Verdict.IDENTICAL


@pytest.mark.parametrize("kind", ["text", "records"])
def test_what_is_neither_numbers_nor_a_table_is_compared_exactly_or_said_not_to_be(paths, kind):
    a = random_cells(np.random.default_rng(0))
    if kind == "text":
        a.obsm["names"] = np.array([[f"n{k}", "x"] for k in range(a.n_obs)], dtype=object)
    else:
        a.obsm["names"] = np.array([(k, 0.5) for k in range(a.n_obs)], dtype=[("n", int), ("x", float)])
    assert written(paths, a, a, compression="gzip").verdict is Verdict.IDENTICAL
    b = a.copy()
    b.obsm["names"][3] = np.array(["other", "x"], dtype=object) if kind == "text" else (99, 0.5)
    assert written(paths, a, b).differences == ("obsm/names differs: obsm/names (values)",)
    found = written(paths, a, permuted(a, np.random.default_rng(1)))
    assert found.verdict is Verdict.COMPARED
    assert found.uncompared == ("obsm/names: neither a matrix of numbers nor a table, in another order",)
    assert "Verdict: the same in what was compared (not compared: obsm/names" in as_text(found)
    assert "Not compared</h2>" in write_report(found, paths[0].parent / "page.html").read_text()
    assert found.to_dict()["uncompared"] == list(found.uncompared)


def test_numbers_beyond_2_to_the_53_are_compared_exactly(paths):
    a = random_cells(np.random.default_rng(0))
    a.obsm["hash"] = np.full((a.n_obs, 2), 2**60, dtype=np.int64)
    assert written(paths, a, a, compression="gzip").verdict is Verdict.IDENTICAL
    b = a.copy()
    b.obsm["hash"][3, 1] += 1
    assert written(paths, a, b).differences == ("obsm/hash differs: obsm/hash (values)",)


def test_an_array_and_a_table_of_one_name_are_different(paths):
    a = random_cells(np.random.default_rng(0))
    b = a.copy()
    a.obsm["t"] = np.zeros((a.n_obs, 1))
    b.obsm["t"] = pd.DataFrame({"0": np.zeros(a.n_obs)}, index=a.obs_names)
    assert written(paths, a, b).differences == ("obsm/t has another form (array / dataframe)",)


def _edit(paths, change):
    random_cells(np.random.default_rng(0)).write_h5ad(paths[0])
    shutil.copy(paths[0], paths[1])
    with h5py.File(paths[1], "a") as file:
        change(file)
    return compare_files(*paths)


def _unknown(file):
    file["extra/numbers"] = np.arange(3)


def _hidden_column(file):
    file["obs/hidden"] = np.arange(12)


def _old_obsm(file):
    """Before anndata 0.7, obsm was one array of records."""
    del file["obsm"]
    file["obsm"] = np.zeros(12, dtype=[("X_pca", np.float32, (2,))])


def _attribute(file):
    file["obs"].attrs["remark"] = "by hand"


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (_unknown, "other elements only in B: extra"),
        (_hidden_column, "other elements only in B: obs/hidden"),
        (_attribute, "obs differs: attribute remark"),
        (_old_obsm, "obsm only in B: X_pca"),
    ],
)
def test_what_anndata_does_not_know_is_compared(paths, change, text):
    found = _edit(paths, change)
    assert found.differences == (text,)


@pytest.mark.parametrize("value", [1, 7])
def test_an_unknown_group_in_another_order_is_not_judged_where_it_differs(paths, value):
    a = random_cells(np.random.default_rng(0))
    a.write_h5ad(paths[0])
    permuted(a, np.random.default_rng(1)).write_h5ad(paths[1])
    for path, number in zip(paths, (1, value), strict=True):
        with h5py.File(path, "a") as file:
            file["extra/numbers"] = np.array([number, 2])
    found = compare_files(*paths)
    assert found.verdict is (Verdict.EQUIVALENT if value == 1 else Verdict.COMPARED)


def test_an_element_of_uns_that_anndata_cannot_read_is_compared_as_it_stands(paths):
    random_cells(np.random.default_rng(0)).write_h5ad(paths[0])
    with h5py.File(paths[0], "a") as file:
        group = file.create_group("uns/later")
        group.attrs.update({"encoding-type": "of-the-future", "encoding-version": "9"})
        group["values"] = np.arange(4)
    shutil.copy(paths[0], paths[1])
    with h5py.File(paths[1], "a") as file:
        file["obs/condition"].attrs["encoding-version"] = file["obs/condition"].attrs["encoding-version"]
        file["uns/later/values"][1] = 9
    assert [text[:17] for text in compare_files(*paths).differences] == ["uns later differs"]


def _stored_zero(file):
    data, indices, indptr = (file[f"X/{name}"][()] for name in ("data", "indices", "indptr"))
    lacking = sorted(set(range(8)) - set(indices[indptr[11] :].tolist()))[0]
    for name, values in (
        ("data", np.append(data, np.float32(0))),
        ("indices", np.append(indices, np.int32(lacking))),
        ("indptr", np.append(indptr[:-1], indptr[-1] + 1)),
    ):
        del file[f"X/{name}"]
        file[f"X/{name}"] = values


def _column_order(file):
    file["obs"].attrs["column-order"] = file["obs"].attrs["column-order"][::-1]


def _index_dtype(file):
    values = file["X/indices"][()].astype(np.int64)
    del file["X/indices"]
    file["X/indices"] = values


def _categories(file):
    group = file["obs/condition"]
    codes, categories = group["codes"][()], group["categories"][()]
    del group["codes"], group["categories"]
    group["codes"], group["categories"] = (len(categories) - 1 - codes).astype(np.int8), categories[::-1]
    for name, kind in (("codes", "array"), ("categories", "string-array")):
        group[name].attrs.update({"encoding-type": kind, "encoding-version": "0.2.0"})


def _empty_group(file):
    del file["varp"]


@pytest.mark.parametrize(
    ("change", "where"),
    [
        (_stored_zero, "X/data (shape"),
        (_column_order, "obs (attribute column-order)"),
        (_index_dtype, "X/indices (int32 / int64)"),
        (_empty_group, "varp (only in A)"),
    ],
)
def test_another_form_of_the_same_content_is_equivalent_and_named(paths, change, where):
    found = _edit(paths, change)
    assert found.verdict is Verdict.EQUIVALENT
    (sense,) = found.senses
    assert sense.startswith("stored in another form: ")
    assert where in sense


def test_the_order_of_categories_counts(paths):
    assert _edit(paths, _categories).verdict is not Verdict.IDENTICAL


def test_uns_within_tolerance_or_of_another_dtype_is_not_identical(paths):
    a = random_cells(np.random.default_rng(0))
    a.uns = {"x": np.array([1.5, 2.5]), "n": 3}
    b = a.copy()
    b.uns = {"x": np.array([1.5, 2.5 + 1e-9]), "n": 3.0}
    found = written(paths, a, b)
    assert found.verdict is Verdict.EQUIVALENT
    assert found.senses == ("uns n: dtype (int64 / float64)", "uns x: within tolerance")


def test_the_same_bytes_are_identical_whatever_the_names_in_them(paths):
    a = full_cells()
    a.write_h5ad(paths[0])
    with h5py.File(paths[0], "a") as file:
        file["extra/odd"] = np.array([1 + 2j])
        file["var/_index"][1] = file["var/_index"][0]
    shutil.copy(paths[0], paths[1])
    found = compare_files(*paths)
    assert found.verdict is Verdict.IDENTICAL
    assert [part.name for part in found.parts] == ["cells", "genes", "bytes"]
    assert found.part("genes").details["shared"] == 8
    assert write_report(found, paths[0].parent / "page.html").exists()


@pytest.mark.parametrize("part", IGNORABLE)
def test_a_part_that_is_left_out_is_named_and_its_differences_are_not(paths, part):
    """Each change shows in its part; the part left out, nothing differs, and nobody calls the files identical."""
    a, b = full_cells(), full_cells()
    changes = {
        "X": lambda: b.X.data.__setitem__(0, 99),
        "counts": lambda: b.layers["counts"].data.__setitem__(0, 99),
        "layers": lambda: b.layers.__setitem__("more", b.X.copy()),
        "raw": lambda: CHANGES["raw/X are the same only up to one scale of 2"](b),
        "obs": lambda: b.obs.__setitem__("ncounts", 3),
        "var": lambda: b.var.__setitem__("ensembl_id", "x"),
        "uns": lambda: b.uns.__setitem__("about", 3),
        **{group: lambda group=group: getattr(b, group).clear() for group in ("obsm", "varm", "obsp", "varp")},
    }
    changes.get(part, lambda: None)()
    a.write_h5ad(paths[0])
    b.write_h5ad(paths[1], compression="gzip")
    assert (compare_files(*paths).verdict is Verdict.DIFFERENT) == (part in changes)
    found = compare_files(*paths, CompareConfig(ignore=(part,)))
    assert found.verdict is Verdict.EQUIVALENT
    assert found.senses[-1] == f"without {part}"
