"""The published splits: equal cell for cell, or, where the reference depends on the hash seed, in what is held out."""

from __future__ import annotations

import json

import pandas as pd
import pytest

from perturbench_lamin.conditions import ObsKeys
from perturbench_lamin.errors import InputError
from perturbench_lamin.splitting.tasks import make_split

TASK_OF = {
    "split_covariates": "transfer",
    "split_combinations": "combine",
    "split_combinations_inverse": "combine-inverse",
}
CASES = [
    *[f"devel__{task}_seed{seed}" for task in ("transfer", "combine", "combine_inverse") for seed in (42, 54, 7)],
    "devel__transfer_seed42_held2_ds0.5",
    "devel__transfer_seed42_ctf0.8_frac0.6",
    "S__transfer_seed42",
    *[f"Sc__{task}_seed{seed}" for task in ("combine", "combine_inverse") for seed in (42, 54, 7)],
    "Sc__combine_seed42_ds0.7",
]
TWO_COVARIATES = ["devel__transfer_seed42_2cov", "S__transfer_seed42_2cov"]
COUNTS_ONLY = [f"S__transfer_{rest}" for rest in ("seed54", "seed7", "seed42_held2_ds0.5", "seed42_ctf0.8_frac0.6")]
ERRORS = ["devel__combine_seed42_ds0.7"]


@pytest.fixture(scope="module")
def manifest(shared_file):
    entries = json.loads(shared_file("golden/splits/manifest.json").read_text())
    return {f"{entry['data']}__{entry['name']}": entry for entry in entries}


@pytest.fixture(scope="module")
def read(shared_file):
    return lambda name: pd.read_csv(
        shared_file(f"golden/splits/{name}.csv.gz"), index_col=0, dtype=str, keep_default_na=False
    )


def remake(entry: dict, obs: pd.DataFrame) -> pd.Series:
    renamed = {"max_heldout_fraction_per_covariate": "max_heldout_fraction"}
    params = {renamed.get(name, name): value for name, value in entry["kwargs"].items()}
    return make_split(obs, TASK_OF[entry["method"]], ObsKeys(covariates=tuple(entry["covariate_keys"])), params)


def test_every_golden_case_is_checked(manifest):
    assert set(manifest) == {*CASES, *TWO_COVARIATES, *COUNTS_ONLY, *ERRORS}


@pytest.mark.parametrize("case", CASES)
def test_equals_the_reference_cell_for_cell(case, manifest, read):
    obs, golden = read(f"{manifest[case]['data']}_obs"), read(case).iloc[:, 0]
    split = remake(manifest[case], obs)
    pd.testing.assert_series_equal(split, golden, check_names=False)


@pytest.mark.parametrize("case", TWO_COVARIATES)
def test_holds_out_the_pairs_of_the_reference(case, manifest, read):
    obs, golden = read(f"{manifest[case]['data']}_obs"), read(case).iloc[:, 0]
    split = remake(manifest[case], obs)
    drawn = ["val", "test"]
    assert (split.isin(drawn) == golden.isin(drawn)).all()
    assert ((split == "") == (golden == "")).all()
    controls = obs["condition"] == "control"
    assert split[controls].equals(golden[controls].rename(split.name))
    pairs = obs[~controls].drop_duplicates().index
    assert (split[pairs] == "test").sum() == (golden[pairs] == "test").sum()


@pytest.mark.parametrize("case", COUNTS_ONLY)
def test_has_the_counts_of_the_reference(case, manifest, read):
    split = remake(manifest[case], read(f"{manifest[case]['data']}_obs"))
    assert split.replace("", "unused").value_counts().to_dict() == manifest[case]["counts"]


@pytest.mark.parametrize("case", ERRORS)
def test_fails_with_advice_where_the_reference_fails(case, manifest, read):
    with pytest.raises(InputError, match="No covariate state holds out two conditions"):
        remake(manifest[case], read(f"{manifest[case]['data']}_obs"))
