"""The whole comparison on small files: what is the same in which sense, what differs and where."""

from __future__ import annotations

import json

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from comparison_files import permuted, random_cells
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from perturbench_lamin.comparison.compare import compare_files
from perturbench_lamin.comparison.report import write_report
from perturbench_lamin.comparison.result import Verdict
from perturbench_lamin.comparison.settings import CompareConfig
from perturbench_lamin.comparison.text import as_text
from perturbench_lamin.errors import InputError, IntegrityError

SEEDS = st.integers(0, 2**32 - 1)
FEW = settings(max_examples=8, deadline=None)
FORMS = {"dense": lambda m: m.toarray(), "csr": sparse.csr_matrix, "csc": sparse.csc_matrix}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("compared")


def compared(folder, a, b, config=None, **options):
    """Write two AnnData objects and compare them."""
    a.write_h5ad(folder / "a.h5ad")
    b.write_h5ad(folder / "b.h5ad", **options)
    return compare_files(folder / "a.h5ad", folder / "b.h5ad", config or CompareConfig())


def without(parts, *names):
    return [part.name for part in parts if part.verdict is not Verdict.IDENTICAL and part.name not in names]


def test_a_file_is_identical_to_itself_whatever_its_compression(folder):
    cells = random_cells(np.random.default_rng(0))
    found = compared(folder, cells, cells, compression="gzip")
    assert (folder / "a.h5ad").read_bytes() != (folder / "b.h5ad").read_bytes()
    assert found.verdict is Verdict.IDENTICAL
    assert [part.name for part in found.parts] == ["cells", "genes", "counts", "X", "obs", "var", "uns"]
    assert found.senses == found.differences == ()


@given(seed=SEEDS, form=st.sampled_from(sorted(FORMS)), dtype=st.sampled_from(["float32", "float64"]))
@FEW
def test_order_encoding_and_dtype_are_senses_and_no_differences(folder, seed, form, dtype):
    rng = np.random.default_rng(seed)
    a = random_cells(rng)
    b = permuted(a, rng)
    b.X = FORMS[form](b.X).astype(dtype)
    found = compared(folder, a, b)
    assert found.verdict is Verdict.EQUIVALENT
    wanted = {"cell order", "gene order"}
    wanted |= {f"X encoding (csr / {form})"} if form != "csr" else set()
    wanted |= {f"X dtype (float32 / {dtype})"} if dtype != "float32" else set()
    moved = {"cell order": (b.obs_names != a.obs_names).any(), "gene order": (b.var_names != a.var_names).any()}
    assert set(found.senses) == wanted - {sense for sense, happened in moved.items() if not happened}


@given(seed=SEEDS, factor=st.sampled_from([0.5, 2.0, 1 / np.log(2)]))
@FEW
def test_one_scale_is_a_sense_of_x_and_a_difference_of_counts(folder, seed, factor):
    a = random_cells(np.random.default_rng(seed))
    b = a.copy()
    b.X = b.X * np.float32(factor)
    found = compared(folder, a, b)
    assert [sense[:23] for sense in found.senses] == ["X up to one scale of " + f"{factor:.6g}"[:2]]
    assert found.part("X").details["scale"] == pytest.approx(factor, rel=1e-6)
    assert found.verdict is Verdict.EQUIVALENT
    b = a.copy()
    b.layers["counts"] = b.layers["counts"] * 3
    found = compared(folder, a, b)
    assert found.verdict is Verdict.DIFFERENT
    assert found.differences == ("counts are the same only up to one scale of 3",)


@given(seed=SEEDS)
@FEW
def test_a_scale_of_each_cell_is_found_also_before_log1p(folder, seed):
    rng = np.random.default_rng(seed)
    a = random_cells(rng)
    factors = rng.uniform(0.2, 5, (a.n_obs, 1))
    plain, logged = a.copy(), a.copy()
    plain.X = sparse.csr_matrix(a.X.toarray() * factors)
    logged.X = sparse.csr_matrix(np.log1p(np.expm1(a.X.toarray().astype(float)) * factors))
    assert "X up to a scale of each cell" in compared(folder, a, plain).senses
    found = compared(folder, a, logged)
    assert "X log1p of the same expression up to a scale of each cell" in found.senses
    assert found.verdict is Verdict.EQUIVALENT


@given(seed=SEEDS, scale=st.sampled_from([1.0, 2.0]))
@FEW
def test_one_changed_value_is_located(folder, seed, scale):
    rng = np.random.default_rng(seed)
    a = random_cells(rng)
    changed = a.X.toarray() * np.float32(scale)
    cell, gene = rng.integers(a.n_obs), rng.integers(a.n_vars)
    changed[cell, gene] += 1
    b = a.copy()
    b.X = sparse.csr_matrix(changed)
    b = permuted(b, rng)
    found = compared(folder, a, b)
    assert found.verdict is Verdict.DIFFERENT
    assert without(found.parts, "cells", "genes") == ["X"]
    details = found.part("X").details
    assert (details["unlike_values"], details["unlike_cells"], details["unlike_genes"]) == (1, 1, 1)
    (first,) = details["first"]
    assert first == details["largest"][0]
    assert (first["cell"], first["gene"]) == (a.obs_names[cell], a.var_names[gene])
    assert (first["a"], first["b"]) == (a.X[cell, gene], changed[cell, gene])
    assert list(details["genes"]) == [a.var_names[gene]]
    assert sum(details["histogram"]["values"]) == 1


def test_within_tolerance_is_a_sense_and_beyond_it_a_difference(folder):
    a = random_cells(np.random.default_rng(0))
    b = a.copy()
    b.X = b.X * np.float32(1 + 4e-6)
    assert compared(folder, a, b).senses == ("X within tolerance",)
    found = compared(folder, a, b, CompareConfig(rtol=1e-7))
    assert found.senses[0].startswith("X up to one scale of 1")
    assert compared(folder, a, b, CompareConfig(rtol=0, atol=0)).verdict is Verdict.DIFFERENT


def test_nan_agrees_with_nan_and_with_nothing_else(folder):
    a = random_cells(np.random.default_rng(0))
    a.X[0, 0] = np.nan
    a.X[1, 1] = np.nan
    a.obs["percent_mito"] = a.obs["percent_mito"].where(np.arange(a.n_obs) != 3)
    found = compared(folder, a, a.copy(), compression="gzip")
    assert found.verdict is Verdict.IDENTICAL
    assert found.part("X").details["nan_in_both"] == 2
    b = a.copy()
    b.X[1, 1] = 0
    b.obs["percent_mito"] = b.obs["percent_mito"].fillna(1.0)
    found = compared(folder, a, b)
    assert found.part("X").details["unlike_values"] == 1
    assert found.part("X").details["first"][0]["cell"] == a.obs_names[1]
    assert found.part("obs").details["columns"][3]["first"] == [a.obs_names[3]]


def test_columns_may_have_other_names_and_dtypes(folder):
    rng = np.random.default_rng(0)
    a = random_cells(rng)
    b = permuted(a, rng)
    b.obs = b.obs.rename(columns={"cell_type": "celltype", "percent_mito": "mt_percent"})
    b.obs["condition"] = b.obs["condition"].astype(str)
    b.obs["good"] = b.obs["good"].map(str)
    b.obs["ncounts"] = b.obs["ncounts"].astype(float)
    found = compared(folder, a, b, CompareConfig(ignore=("X", "counts")), convert_strings_to_categoricals=False)
    assert found.part("obs").differences == ()
    assert {"obs renamed cell_type → celltype", "obs renamed percent_mito → mt_percent"} <= set(found.senses)
    assert any(sense.startswith("obs condition: dtype") for sense in found.senses)
    assert any(sense.startswith("obs ncounts: dtype") for sense in found.senses)


def test_a_column_that_differs_says_how_and_where(folder):
    a = random_cells(np.random.default_rng(1), cells=40)
    b = a.copy()
    b.obs["condition"] = b.obs["condition"].astype(str).str.replace("+", "_")
    b.obs.iloc[7, b.obs.columns.get_loc("cell_type")] = "HELA"
    found = compared(folder, a, b)
    condition, cell_type = found.part("obs").details["columns"][:2]
    assert condition["one_to_one"]
    assert condition["pairs"][0]["a"] == "KLF1+MYC"
    assert condition["unlike"] == (a.obs["condition"] == "KLF1+MYC").sum()
    assert cell_type["first"] == [a.obs_names[7]]
    assert "condition == KLF1+MYC" not in found.part("obs").notes, "a column does not explain itself"


def test_what_only_one_has_counts_unless_common_things_are_judged(folder):
    a = random_cells(np.random.default_rng(0))
    b = a.copy()
    del b.obs["good"], b.var["ensembl_id"], b.uns["about"]
    b.layers["more"] = b.layers.pop("counts")
    b.obsm["pca"] = np.zeros((b.n_obs, 2))
    found = compared(folder, a, b)
    assert set(found.differences) == {
        "obs columns only in A: good",
        "var columns only in A: ensembl_id",
        "uns entries only in A: about/name, about/seed",
        "counts only in A: layers/counts",
        "layers only in B: more",
        "obsm only in B: pca",
    }
    common = compared(folder, a, b, CompareConfig(common=True))
    assert common.verdict is Verdict.EQUIVALENT
    assert set(common.senses) == set(found.differences)


def test_cells_that_one_lacks_are_explained(folder):
    a = random_cells(np.random.default_rng(0), cells=60)
    a.obs["good_coverage"] = np.arange(60) % 6 != 0
    b = a[a.obs["good_coverage"], a.var_names != "GENE3"].copy()
    found = compared(folder, a, b)
    cells = found.part("cells")
    assert cells.details["only_a"] == 10
    best = cells.details["explanations_a"][0]
    assert (best["text"], best["coverage"], best["purity"]) == ("good_coverage == False", 1.0, 1.0)
    assert "all of them, and no other, have good_coverage == False" in cells.notes[0]
    assert found.part("genes").differences == ("1 of 8 genes only in A: first GENE3",)
    assert without(found.parts) == ["cells", "genes"]


@pytest.mark.parametrize("place", ["raw", "X"])
def test_counts_are_found_in_raw_and_in_x(folder, place):
    a = random_cells(np.random.default_rng(0))
    b = a.copy()
    counts = b.layers.pop("counts")
    if place == "raw":
        b.raw = ad.AnnData(counts.astype(np.float32), b.obs, b.var)
    else:
        b.X = counts.astype(np.float32)
    found = compared(folder, a, permuted(b, np.random.default_rng(1)))
    counts_part = found.part("counts")
    assert counts_part.verdict is Verdict.EQUIVALENT
    assert any("stored in layers/counts" in sense for sense in counts_part.senses)
    assert (found.part("X").verdict is Verdict.DIFFERENT) == (place == "X")


def test_splits_in_columns_and_in_files(folder):
    rng = np.random.default_rng(0)
    a = random_cells(rng, cells=20)
    b = permuted(a, rng)
    split = pd.Series(np.resize(["train", "val", "test", ""], 20), index=a.obs_names)
    (folder / "combine.csv").write_text("".join(f"{cell},{part}\n" for cell, part in split.items()))
    b.obs["split_combine"] = pd.Categorical(split[b.obs_names].replace({"val": "valid", "test": "ood", "": "none"}))
    a.write_h5ad(folder / "a.h5ad")
    b.write_h5ad(folder / "b.h5ad")
    paths = folder / "a.h5ad", folder / "b.h5ad"
    found = compare_files(*paths, splits_a=[folder / "combine.csv"])
    assert found.part("splits").senses == ("split renamed combine → split_combine",)
    assert found.verdict is Verdict.EQUIVALENT
    moved = split.copy()
    moved.iloc[0] = "test"
    (folder / "combine.csv").write_text("".join(f"{cell},{part}\n" for cell, part in moved.items()))
    found = compare_files(*paths, splits_a={"combine": folder / "combine.csv"})
    (text,) = found.part("splits").differences
    assert text == f"split combine differs in 1 of 20 cells: test → train (1); first {a.obs_names[0]}"
    (folder / "combine.csv").write_text("a,b,c\n")
    with pytest.raises(InputError, match="3 columns instead of 2"):
        compare_files(*paths, splits_a=[folder / "combine.csv"])
    assert compare_files(*paths, CompareConfig(ignore=("splits", "obs")), splits_a=[folder / "combine.csv"]).senses


def test_files_with_nothing_in_common_are_different_and_nothing_is_made_up(folder):
    rng = np.random.default_rng(0)
    a, b = random_cells(rng), random_cells(rng)
    b.var_names = [f"other{k}" for k in range(b.n_vars)]
    b.var["ensembl_id"] = [f"OTHER{k}" for k in range(b.n_vars)]
    found = compared(folder, a, b)
    assert found.verdict is Verdict.DIFFERENT
    assert found.part("genes").differences[0].startswith("No gene in common: A has GENE0")
    assert found.part("cells").differences[0].startswith("No cell in common")
    assert found.part("X").details == {"compared": False}
    assert "Not compared" in as_text(found)
    assert write_report(found, folder / "page.html").read_text().count("No gene in common")


def test_no_common_cells_leaves_genes_to_compare(folder):
    a, b = (random_cells(np.random.default_rng(seed)) for seed in (0, 1))
    found = compared(folder, a, b)
    assert found.part("genes").verdict is Verdict.IDENTICAL
    assert found.part("var").verdict is Verdict.IDENTICAL
    assert found.part("cells").details["shared"] == 0


def test_bad_files_are_refused(folder):
    good = folder / "good.h5ad"
    cells = random_cells(np.random.default_rng(0))
    cells.write_h5ad(good)
    text = folder / "text.h5ad"
    text.write_text("not an h5ad")
    with pytest.raises(IntegrityError, match="Not an HDF5 file"):
        compare_files(good, text)
    with pytest.raises(InputError, match="No such file"):
        compare_files(folder / "nowhere.h5ad", good)
    cut = folder / "cut.h5ad"
    cut.write_bytes(good.read_bytes()[:-2000])
    with pytest.raises(IntegrityError, match="Truncated or corrupt"):
        compare_files(good, cut)
    with pytest.raises(InputError, match="Did you mean obs"):
        compare_files(good, good, CompareConfig(ignore=("obss",)))
    with pytest.raises(InputError, match="tolerance"):
        CompareConfig(rtol=-1)


@pytest.mark.parametrize("part", ["obs", "var"])
def test_a_file_without_a_part_is_refused(folder, part):
    import h5py

    path = folder / "without.h5ad"
    random_cells(np.random.default_rng(0)).write_h5ad(path)
    with h5py.File(path, "a") as file:
        del file[part]
    with pytest.raises(IntegrityError, match=f"without {part}"):
        compare_files(path, path)


@pytest.mark.filterwarnings("ignore:Observation names are not unique", "ignore:Variable names are not unique")
@pytest.mark.parametrize("axis", ["obs", "var"])
def test_names_that_occur_twice_are_matched_in_order_or_by_a_column(folder, axis):
    rng = np.random.default_rng(0)
    a = random_cells(rng)
    names = getattr(a, f"{axis}_names")
    setattr(a, f"{axis}_names", [names[0], names[0], *names[2:]])
    found = compared(folder, a, a, compression="gzip")
    assert found.verdict is Verdict.IDENTICAL
    assert found.part("X").details["values"] > 0
    b = a[::-1] if axis == "obs" else a[:, ::-1]
    found = compared(folder, a, b.copy())
    assert found.verdict is Verdict.EQUIVALENT
    assert found.part("cells" if axis == "obs" else "genes").details["matched_by"].startswith("name and ")
    b = a[3:] if axis == "obs" else a[:, 3:]
    assert found.part("X").details["unlike_values"] == 0
    found = compared(folder, a, b.copy(), CompareConfig(ignore=("uns",)))
    assert without(found.parts, "ignored") == ["cells" if axis == "obs" else "genes"]


@pytest.mark.filterwarnings("ignore:Observation names are not unique", "ignore:Variable names are not unique")
def test_names_that_nothing_tells_apart_are_not_judged(folder):
    a = random_cells(np.random.default_rng(0))
    a.var = a.var[[]]
    a.var_names = ["GENE0", "GENE0", *a.var_names[2:]]
    b = a[:, ::-1].copy()
    found = compared(folder, a, b)
    assert found.verdict is Verdict.COMPARED
    assert found.uncompared == ("2 genes that share a name, come in another order and are not told apart: GENE0",)
    b.X[0, 3] += 1
    assert compared(folder, a, b).verdict is Verdict.DIFFERENT
    cells = random_cells(np.random.default_rng(0))
    cells.obs = cells.obs[[]]
    cells.obs_names = [cells.obs_names[0], cells.obs_names[0], *cells.obs_names[2:]]
    found = compared(folder, cells, cells[::-1].copy())
    assert (found.verdict, found.part("cells").details["matched_by"]) == (Verdict.EQUIVALENT, "name and content")
    assert found.part("X").details["unlike_values"] == 0


def test_what_was_found_is_plain_json_and_one_page_and_always_the_same(folder):
    rng = np.random.default_rng(0)
    a = random_cells(rng, cells=30)
    b = permuted(a, rng)[:25].copy()
    b.X[0, 0] = np.nan
    b.obs["cell_type"] = "<script>alert(1)</script>"
    found = compared(folder, a, b)
    first = found.write_json(folder / "one.json").read_bytes()
    again = compare_files(folder / "a.h5ad", folder / "b.h5ad")
    assert again.write_json(folder / "two.json").read_bytes() == first
    told = json.loads(first, parse_constant=lambda text: pytest.fail(f"{text} is no JSON"))
    assert told["verdict"] == "different"
    assert told["parts"][0]["details"]["only_a"] == 5
    page = write_report(found, folder / "one.html").read_text()
    assert write_report(again, folder / "two.html").read_text() == page
    assert "<script" not in page
    assert 'src="http' not in page
    assert "&lt;script&gt;" in page
    assert page.count("data:image/svg+xml") >= 2
    assert found.differences[0] in as_text(found)


def test_matrices_that_have_nothing_to_do_with_each_other_are_the_same_in_no_sense(folder):
    a, b = (random_cells(np.random.default_rng(seed)) for seed in (0, 1))
    b.obs_names = a.obs_names
    found = compared(folder, a, b)
    assert found.part("X").senses == ()
    assert found.part("X").verdict is Verdict.DIFFERENT
    assert found.part("X").details["unlike_cells"] == a.n_obs


def test_counts_in_x_of_both_may_not_be_scaled(folder):
    a = random_cells(np.random.default_rng(0))
    a.X = a.layers.pop("counts").astype(np.float32)
    b = a.copy()
    b.X = b.X * 2
    assert compared(folder, a, b).differences == ("X are the same only up to one scale of 2",)


def test_layers_and_arrays_are_compared_row_by_row(folder):
    rng = np.random.default_rng(0)
    a = random_cells(rng)
    a.layers["scaled"] = a.X.toarray().astype(np.float64)
    a.obsm["X_pca"] = rng.normal(size=(a.n_obs, 3))
    a.obsm["table"] = pd.DataFrame({"x": range(a.n_obs)}, index=a.obs_names)
    assert compared(folder, a, permuted(a, rng)).verdict is Verdict.EQUIVALENT
    b = permuted(a, rng)
    b.layers["scaled"][0, 0] += 1
    b.obsm["X_pca"][2, 1] += 1
    found = compared(folder, a, b)
    assert without(found.parts, "cells", "genes") == ["layers", "obsm"]
    (first,) = found.part("obsm").details["obsm/X_pca"]["first"]
    assert (first["cell"], first["gene"]) == (b.obs_names[2], "1")
    assert write_report(found, folder / "page.html").read_text().count("Values of obsm/X_pca that differ</h2>") == 1
    b.obsm["X_pca"] = b.obsm["X_pca"][:, :2]
    assert "obsm/X_pca has another form" in compared(folder, a, b).differences


@pytest.mark.parametrize("share", [0.5, 0.02])
def test_few_cells_of_many_in_any_order(folder, share):
    """Both files must be brought into order where shared cells are far apart."""
    rng = np.random.default_rng(0)
    cells = random_cells(rng, cells=500)
    kept = rng.permutation(500)[: int(500 * share)]
    others = random_cells(np.random.default_rng(5), cells=300)
    b = ad.concat([cells[kept], others], uns_merge="same")
    b.var = cells.var
    cells.obs_names, b.obs_names = (pd.Index([f"n{name}" for name in table.obs_names]) for table in (cells, b))
    found = compared(folder, cells, b[rng.permutation(b.n_obs)].copy())
    assert found.part("cells").details["shared"] == len(kept)
    assert without(found.parts, "cells") == []


def test_a_column_of_one_value_is_not_taken_for_another(folder):
    a = random_cells(np.random.default_rng(0))
    b = a.copy()
    a.obs["organism"], a.obs["n_guides"] = "human", 1
    b.obs["Organism_name"], b.obs["dose"] = "human", 1
    found = compared(folder, a, b)
    assert "obs renamed organism → Organism_name" in found.senses
    assert set(found.differences) == {"obs columns only in A: n_guides", "obs columns only in B: dose"}


@pytest.mark.parametrize("form", ["compound", "categories"])
def test_tables_as_older_versions_wrote_them(folder, form):
    import h5py

    a = random_cells(np.random.default_rng(0))
    del a.obs["good"]
    a.write_h5ad(folder / "a.h5ad")
    a.write_h5ad(folder / "b.h5ad")
    with h5py.File(folder / "b.h5ad", "a") as file:
        del file["obs"]
        (_as_compound if form == "compound" else _with_categories)(file, a.obs)
    found = compare_files(folder / "a.h5ad", folder / "b.h5ad", CompareConfig(ignore=("uns",)))
    assert found.differences == ()
    assert found.part("cells").verdict is Verdict.IDENTICAL
    assert len(found.part("obs").details["columns"]) == 4


def _as_compound(file, obs):
    """As anndata 0.6: one array of records, categories in uns."""
    condition = obs["condition"].astype("category")
    table = obs.assign(condition=condition.cat.codes, cell_type=obs["cell_type"].astype(str))
    records = table.reset_index(names="index").to_records(index=False)
    kinds = dict.fromkeys(("index", "cell_type"), "S30")
    file["obs"] = records.astype([(name, kinds.get(name, records.dtype[name])) for name in records.dtype.names])
    file["uns/condition_categories"] = condition.cat.categories.to_numpy(dtype="S30")


def _with_categories(file, obs):
    """As anndata 0.7: codes in the column, categories beside them."""
    group = file.create_group("obs")
    group.attrs.update({"encoding-type": "dataframe", "encoding-version": "0.1.0", "_index": "_index"})
    group.attrs["column-order"] = list(obs.columns)
    group["_index"] = obs.index.to_numpy(dtype=object)
    for name, values in obs.items():
        if pd.api.types.is_numeric_dtype(values.dtype):
            group[name] = values.to_numpy()
            continue
        values = values.astype("category")
        group[name] = values.cat.codes.to_numpy()
        categories = group.create_dataset(f"__categories/{name}", data=values.cat.categories.to_numpy(dtype=object))
        categories.attrs["ordered"] = False
        group[name].attrs["categories"] = categories.ref
