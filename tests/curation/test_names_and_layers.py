"""Preprocessing of files as people have them: several spellings, counts elsewhere, curated before."""

from __future__ import annotations

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from perturbench_lamin.conditions import ObsKeys
from perturbench_lamin.curation.counts import _shown
from perturbench_lamin.curation.groups import cell_groups
from perturbench_lamin.curation.preprocess import DEGS_KEY, preprocess_file
from perturbench_lamin.curation.report import PreprocessParams
from perturbench_lamin.curation.selection import _trends
from perturbench_lamin.errors import InputError

KEYS = ObsKeys("condition", ("cell_type",))
PARAMS = PreprocessParams(10, 4)
SINGLES = ("g1", "g2", "g1+g2")


def deposit(names=("control", *SINGLES), cells: int = 30) -> ad.AnnData:
    rng = np.random.default_rng(3)
    conditions = np.repeat(names, cells)
    means = rng.gamma(1.0, 2.0, 40) * rng.lognormal(0, 0.5, (len(names), 40))[np.repeat(range(len(names)), cells)]
    obs = pd.DataFrame({"condition": conditions, "cell_type": "K"}, index=[f"c{i}" for i in range(len(conditions))])
    counts = sparse.csr_matrix(rng.poisson(means).astype(np.int32))
    return ad.AnnData(counts, obs, pd.DataFrame(index=[f"g{i}" for i in range(40)]))


def curate(data: ad.AnnData, folder, **options) -> ad.AnnData:
    data.write_h5ad(folder / "raw.h5ad")
    preprocess_file(folder / "raw.h5ad", folder / "out.h5ad", KEYS, PARAMS, **options)
    return ad.read_h5ad(folder / "out.h5ad")


def test_a_curated_file_can_be_curated_again_and_again(tmp_path):
    data = deposit()
    data.obs["ncounts"], data.var["n_cells"], data.var["deposited_n_cells"] = 7.0, 5, 6
    once = curate(data, tmp_path)
    again = curate(curate(once.copy(), tmp_path), tmp_path)
    assert (again.obs["deposited_ncounts"] == 7).all()
    assert again.obs["deposited_ncounts_2"].equals(once.obs["ncounts"].set_axis(again.obs.index))
    assert "deposited_ncounts_3" in again.obs
    assert (again.var["deposited_n_cells"] == 6).all()
    assert (again.var["deposited_n_cells_2"] == 5).all()
    assert "deposited_highly_variable_2" in again.var


@pytest.mark.parametrize("single", ["{}+control", "control+{}"])
def test_the_control_in_a_name_changes_no_gene(tmp_path, single):
    plain = curate(deposit(), tmp_path)
    other = deposit()
    other.obs["condition"] = other.obs["condition"].replace({name: single.format(name) for name in ("g1", "g2")})
    named = curate(other, tmp_path)
    assert named.var.equals(plain.var)
    assert sorted(named.uns[DEGS_KEY]["de_gene"]) == sorted(plain.uns[DEGS_KEY]["de_gene"])
    assert set(named.uns["perturbench"]["conditions"]["token"]) == {"g1", "g2"}
    assert set(named.obs["condition"]) == {"control", single.format("g1"), single.format("g2"), "g1+g2"}, "as spelled"


def test_spellings_of_one_condition_become_one_and_are_told(tmp_path, caplog):
    plain = curate(deposit(), tmp_path)
    mixed = deposit()
    names = mixed.obs["condition"].astype(str).to_numpy()
    for name, other in (("g1", "g1+control"), ("g1+g2", "g2+g1"), ("control", "control+control")):
        names[np.flatnonzero(names == name)[::2]] = other
    mixed.obs["condition"] = pd.Categorical(names)
    merged = curate(mixed, tmp_path)
    assert merged.obs["condition"].astype(str).equals(plain.obs["condition"].astype(str))
    assert merged.uns[DEGS_KEY].equals(plain.uns[DEGS_KEY])
    assert "'control+control' is 'control', 'g1+control' is 'g1', 'g2+g1' is 'g1+g2'" in caplog.text
    assert "conditions spelled in several ways" in merged.uns["perturbench"]["parameters"]


def test_text_that_says_there_is_no_perturbation_is_told_and_recorded(tmp_path, caplog):
    data = deposit(("control", "g1", "nan"))
    curated = curate(data, tmp_path)
    assert "30 cells have 'nan' in column 'condition'" in caplog.text
    assert "name like a missing value" in curated.uns["perturbench"]["parameters"]


def test_spaces_are_refused_before_any_pass_and_the_file_is_named(tmp_path):
    with pytest.raises(InputError, match=r"30 cells: 'g1 ' \[.*raw\.h5ad\]"):
        curate(deposit(("control", "g1 ", "g2")), tmp_path)


def test_counts_in_raw_are_read_with_their_own_genes(tmp_path):
    data = deposit()
    logs = ad.AnnData(np.log1p(data.X).astype(np.float32), data.obs, data.var)
    logs.raw = data
    logs = logs[:, :5].copy()
    with pytest.raises(InputError, match=r"other matrices, to name one of: --layer raw\."):
        curate(logs, tmp_path)
    curated, plain = curate(logs, tmp_path, layer="raw"), curate(data, tmp_path)
    assert curated.var_names.equals(plain.var_names)
    assert (curated.layers["counts"] != plain.layers["counts"]).nnz == 0


def test_counts_in_a_named_layer_are_read(tmp_path):
    data = deposit()
    layered = ad.AnnData(None, data.obs, data.var, layers={"raw_counts": data.X})
    with pytest.raises(InputError, match=r"no matrix X.*\n.*--layer\): raw_counts"):
        curate(layered, tmp_path)
    curated = curate(layered, tmp_path, layer="raw_counts")
    assert (curated.X != curate(data, tmp_path).X).nnz == 0


def test_a_fraction_is_shown_as_one(tmp_path):
    data = deposit()
    data.X = data.X.astype(np.float32)
    data.X.data += np.float32(1e-6)
    with pytest.raises(InputError, match=r"value \d\.0000009\d\]"):
        curate(data, tmp_path)


@pytest.mark.parametrize(
    ("value", "shown"), [(1 + 1e-9, "1.000000001"), (2.0**24 + 2, "16777218"), (0.862832123, "0.862832"), (7.0, "7")]
)
def test_as_many_digits_are_shown_as_tell_a_value_from_another_whole_number(value, shown):
    assert _shown(value) == shown


def test_a_state_of_two_cells_takes_part_in_the_choice_of_variable_genes():
    obs = pd.DataFrame({"condition": "control", "cell_type": ["a"] * 5 + ["b"] * 2 + ["c"]}, index=list("stuvwxyz"))
    groups = cell_groups(obs, KEYS)
    values = np.random.default_rng(0).poisson(3.0, (len(obs), 50))
    sums = np.zeros((3, 50, 2), dtype=np.int64)
    for state, row in zip(groups.state_of_cell, values, strict=True):
        sums[state] += np.stack([row, row**2], axis=1)
    assert sorted(_trends(groups, sums)) == [0, 1], "two cells have a variance, one has none"
