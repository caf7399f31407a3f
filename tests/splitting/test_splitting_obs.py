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
        ("obs.txt", b"a\tb\n", "Not a table of cells"),
        ("obs.tsv", b"a,b\n", "separated by tabs. It seems to be separated by commas"),
        ("obs.csv", b"", "The table is empty"),
        ("obs.csv", b"cell;condition\nx;g1\n", r"obs\.csv(.|\n)*one column(.|\n)*separated by semicolons"),
        ("obs.csv", b"cell\tcondition\nx\tg1\n", r"obs\.csv(.|\n)*one column(.|\n)*separated by tabs"),
        ("obs.csv", b"cell,condition\nx,g1\ny,g2,g3\n", r"3 columns instead of 2 \[.*line 3"),
        ("obs.csv", b"cell,condition,dose\nx,g1,1\ny,g2\nz,g3,1\n", r"2 columns instead of 3 \[.*line 3"),
        ("obs.csv", b"condition\nx,g1\n", "A header must name the column of row names too"),
        ("obs.csv", b"cell,condition\nx,g1\n,g1\n", r"1 cells have no name \[.*line 3"),
        ("obs.csv", b"cell,condition,condition\nx,g1,g2\n", "'condition' more than once"),
        ("obs.csv", b"cell,condition,\nx,g1,\n", "Column 3 has no name"),
        ("obs.csv", b"cell,condition\nx,\xff\n", r"Not readable as CSV: .*0xff.*line 2"),
        ("obs.csv", b'cell,condition\nx,"g1\n', "Not readable as CSV"),
        ("cells.h5ad", b"cell,condition\n", "Not an HDF5 file"),
    ],
)
def test_unreadable_files_are_named(name, data, message, tmp_path):
    (tmp_path / name).write_bytes(data)
    with pytest.raises((InputError, IntegrityError), match=message):
        read_obs(tmp_path / name)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"cell,condition\n", r"Named \.gz"),
        (gzip.compress(b"cell,condition\nx,g1\n" * 99)[:-9], "Truncated or corrupt"),
        (gzip.compress(b"cell,condition\nx,g1\n")[:-8] + bytes(8), "Truncated or corrupt(.|\n)*CRC"),
        (gzip.compress(b"cell,condition\nx,g1\n") + b"more", "Truncated or corrupt"),
        (gzip.compress(b"cell,condition\n" + b"x,g1\n" * (14 << 20)), "more than 100 times"),
    ],
    ids=["not compressed", "cut", "other checksum", "more behind", "a bomb"],  # the bytes hold the time
)
def test_damaged_compression_is_named(data, message, tmp_path):
    (tmp_path / "obs.csv.gz").write_bytes(data)
    with pytest.raises(IntegrityError, match=message):
        read_obs(tmp_path / "obs.csv.gz")


def test_tabs_where_the_name_says_so(tmp_path):
    obs = screen([("b",), ("a",)])
    obs.to_csv(tmp_path / "obs.csv")
    for name in ("obs.tsv", "obs.tsv.gz"):
        obs.to_csv(tmp_path / name, sep="\t")
        pd.testing.assert_frame_equal(read_obs(tmp_path / name), read_obs(tmp_path / "obs.csv"))


def test_absent_files_and_absent_obs_are_named(tmp_path):
    with pytest.raises(InputError, match="No such file"):
        read_obs(tmp_path / "obs.csv")
    with h5py.File(tmp_path / "empty.h5ad", "w"):
        pass
    with pytest.raises(IntegrityError, match="without obs"):
        read_obs(tmp_path / "empty.h5ad")
