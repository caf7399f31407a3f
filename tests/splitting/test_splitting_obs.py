"""Tables of cells, read from CSV and h5ad files."""

from __future__ import annotations

import gzip

import anndata as ad
import h5py
import numpy as np
import pandas as pd
import pytest
from splitting_tables import screen

from perturbench_lamin.conditions import ObsKeys
from perturbench_lamin.errors import InputError, IntegrityError
from perturbench_lamin.splitting.obs import read_obs
from perturbench_lamin.splitting.tasks import make_split


def test_csv_values_are_text_and_only_empty_fields_are_missing(tmp_path):
    path = tmp_path / "obs.csv"
    path.write_text('cell,condition,dose,note\n007,"g1,x",1.0,\n8,NA,10,None\n', encoding="utf-8")
    obs = read_obs(path)
    assert obs.index.tolist() == ["007", "8"]
    assert obs.index.name is None
    assert obs["condition"].tolist() == ["g1,x", "NA"]
    assert obs["dose"].tolist() == ["1.0", "10"]
    assert obs["note"].isna().tolist() == [True, False]


def test_csv_and_h5ad_give_the_same_split(tmp_path):
    obs = screen([("b",), ("a",)])
    obs.to_csv(tmp_path / "obs.csv")
    obs.to_csv(tmp_path / "obs.csv.gz")
    adata = ad.AnnData(np.zeros((len(obs), 1), dtype=np.float32), obs=obs.astype("category"))
    adata.write_h5ad(tmp_path / "cells.h5ad")
    splits = [make_split(read_obs(tmp_path / name), "transfer", ObsKeys()) for name in ("obs.csv", "obs.csv.gz")]
    splits.append(make_split(read_obs(tmp_path / "cells.h5ad"), "transfer", ObsKeys()))
    expected = make_split(obs, "transfer", ObsKeys())
    for split in splits:
        pd.testing.assert_series_equal(split, expected, check_index_type=False)


def test_h5ad_is_read_without_its_matrix(tmp_path):
    path = tmp_path / "cells.h5ad"
    ad.AnnData(np.zeros((2, 1), dtype=np.float32), obs=pd.DataFrame({"a": [1, 2]}, index=["x", "y"])).write_h5ad(path)
    with h5py.File(path, "r+") as file:
        del file["X"]
        file["X"] = "not a matrix"
    assert read_obs(path)["a"].tolist() == [1, 2]


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("obs.tsv", b"a\tb\n", "Not a table of cells"),
        ("obs.csv", b"", "Not readable as CSV"),
        ("obs.csv", b"cell,condition\nx,g1\ny,g2,g3\n", "Not readable as CSV"),
        ("obs.csv", b"condition\nx,g1\n", "more fields than the header"),
        ("obs.csv", b"cell,condition\n,g1\n", "1 cells have no name"),
        ("obs.csv", b"cell,condition\nx,\xff\n", "Not readable as CSV"),
        ("obs.csv.gz", b"cell,condition\n", "Not readable as CSV"),
        ("obs.csv.gz", gzip.compress(b"cell,condition\nx,g1\n" * 99)[:-9], "Not readable as CSV"),
        ("cells.h5ad", b"cell,condition\n", "Not an HDF5 file"),
    ],
)
def test_unreadable_files_are_named(name, data, message, tmp_path):
    (tmp_path / name).write_bytes(data)
    with pytest.raises((InputError, IntegrityError), match=message):
        read_obs(tmp_path / name)


def test_absent_files_and_absent_obs_are_named(tmp_path):
    with pytest.raises(InputError, match="No such file"):
        read_obs(tmp_path / "obs.csv")
    with h5py.File(tmp_path / "empty.h5ad", "w"):
        pass
    with pytest.raises(IntegrityError, match="without obs"):
        read_obs(tmp_path / "empty.h5ad")
