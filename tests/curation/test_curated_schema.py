"""Reading curated files: the contract is checked, and each breach is named."""

from __future__ import annotations

import anndata as ad
import h5py
import numpy as np
import pandas as pd
import pytest

from perturbench_lamin.conditions import ObsKeys
from perturbench_lamin.curation.preprocess import preprocess
from perturbench_lamin.curation.report import PreprocessParams
from perturbench_lamin.curation.schema import open_curated
from perturbench_lamin.curation.source import MatrixSource
from perturbench_lamin.errors import InputError, IntegrityError


@pytest.fixture
def curated(tmp_path):
    rng = np.random.default_rng(0)
    counts = rng.poisson(rng.lognormal(0, 1, 50), (80, 50)).astype(np.float32)
    obs = pd.DataFrame({"condition": np.resize(["control", "g1+g2"], 80)}, index=[f"c{i}" for i in range(80)])
    var = pd.DataFrame(index=[f"g{i}" for i in range(50)])
    keys = ObsKeys("condition", ())
    path = tmp_path / "curated.h5ad"
    preprocess(MatrixSource(counts, obs.index, var.index), obs, var, keys, PreprocessParams(10, 5), out=path)
    return path


@pytest.mark.parametrize("backed", [False, True])
def test_a_curated_file_reads_back(curated, backed):
    data, info = open_curated(curated, backed=backed)
    assert data.n_obs == 80
    assert info.keys == ObsKeys("condition", ())
    assert info.parameters["highly_variable"] == 10
    assert info.conditions["token"].tolist() == ["g1", "g2"]
    if backed:
        data.file.close()


def test_a_damaged_file_is_refused(curated, tmp_path):
    whole = curated.read_bytes()
    curated.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(IntegrityError):
        open_curated(curated)
    with pytest.raises(InputError, match="No such file"):
        open_curated(tmp_path / "none.h5ad")


def _drop_counts(file):
    del file["layers/counts"]


def _float_counts(file):
    data = file["layers/counts/data"][:].astype(np.float32)
    del file["layers/counts/data"]
    file["layers/counts/data"] = data


def _double_values(file):
    data = file["X/data"][:].astype(np.float64)
    del file["X/data"]
    file["X/data"] = data


def _rename_condition(file):
    file["obs"].attrs["column-order"] = [n for n in file["obs"].attrs["column-order"] if n != "ncounts"]
    del file["obs/ncounts"]


def _drop_uns(file):
    del file["uns/perturbench"]


def _dense(file):
    del file["X"]
    ad.io.write_elem(file, "X", np.zeros((80, int(file["layers/counts"].attrs["shape"][1])), dtype=np.float32))


@pytest.mark.parametrize(
    ("damage", "what"),
    [
        (_drop_counts, "No layers/counts"),
        (_float_counts, "layers/counts holds float32"),
        (_double_values, "X holds float64"),
        (_rename_condition, "No column ncounts"),
        (_drop_uns, "not a curated file"),
        (_dense, "not as a CSR matrix"),
    ],
)
def test_each_breach_is_named(curated, damage, what):
    with h5py.File(curated, "r+") as file:
        damage(file)
    with pytest.raises(InputError, match=what):
        open_curated(curated)


def test_an_unknown_condition_is_refused(curated):
    data = ad.read_h5ad(curated)
    data.obs["condition"] = data.obs["condition"].cat.rename_categories({"g1+g2": "new"})
    data.write_h5ad(curated)
    with pytest.raises(InputError, match="missing from the table"):
        open_curated(curated)
