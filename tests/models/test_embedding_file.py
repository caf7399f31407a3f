from __future__ import annotations

import anndata as ad
import numpy as np
import pandas as pd
import pytest

from perturbench_lamin.errors import InputError
from perturbench_lamin.models.embedding_file import Embedding, read_embedding, write_embedding

TABLE = Embedding(("TP53", "MYC", "β-catenin"), np.arange(6.0).reshape(3, 2))


def test_what_is_written_is_read_back(tmp_path):
    found = read_embedding(write_embedding(tmp_path / "a.npz", TABLE))
    assert found.names == TABLE.names
    np.testing.assert_array_equal(found.values, TABLE.values)
    assert found.find(["MYC", "absent", "TP53"]).tolist() == [1, -1, 0]


def test_an_h5ad_file_serves_too(tmp_path):
    ad.AnnData(TABLE.values, obs=pd.DataFrame(index=list(TABLE.names))).write_h5ad(tmp_path / "a.h5ad")
    found = read_embedding(tmp_path / "a.h5ad")
    assert found.names == TABLE.names
    np.testing.assert_array_equal(found.values, TABLE.values)


def test_pickled_objects_are_not_loaded(tmp_path):
    np.savez(tmp_path / "a.npz", names=np.array(["a", object()], dtype=object), values=np.eye(2))
    with pytest.raises(InputError, match="Not an embedding"):
        read_embedding(tmp_path / "a.npz")


@pytest.mark.parametrize("content", [b"", b"PK nonsense", b"\x93NUMPY"])
def test_other_files(tmp_path, content):
    (tmp_path / "a.npz").write_bytes(content)
    with pytest.raises(InputError, match="Not an embedding"):
        read_embedding(tmp_path / "a.npz")


def test_arrays_of_other_names(tmp_path):
    np.savez(tmp_path / "a.npz", genes=np.array(["a"]), values=np.eye(1))
    with pytest.raises(InputError, match="names"):
        read_embedding(tmp_path / "a.npz")


@pytest.mark.parametrize(
    ("names", "values", "words"),
    [
        (("a", "a"), np.eye(2), "more than once"),
        (("a", "b"), np.eye(3), "2 names and values of shape"),
        (("a",), np.zeros((1, 0)), "shape"),
        (("a",), np.array([[np.nan]]), "NaN"),
    ],
)
def test_bad_tables(names, values, words):
    with pytest.raises(InputError, match=words):
        Embedding(names, values)
