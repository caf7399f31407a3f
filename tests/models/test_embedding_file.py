from __future__ import annotations

import zipfile

import anndata as ad
import numpy as np
import pandas as pd
import pytest

from perturbench_lamin.errors import InputError, IntegrityError, PerturbenchError
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


def test_a_flipped_bit_is_refused_or_changes_nothing(tmp_path):
    path = write_embedding(tmp_path / "a.npz", TABLE)
    content, refused = path.read_bytes(), 0
    for at in range(0, len(content), 3):
        damaged = bytearray(content)
        damaged[at] ^= 1
        path.write_bytes(damaged)
        try:
            found = read_embedding(path)
        except PerturbenchError as error:
            assert str(path) in str(error)  # noqa: PT017
            refused += 1
        else:
            assert found.names == TABLE.names
            np.testing.assert_array_equal(found.values, TABLE.values)
    assert refused > len(content) / 5


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        ({"names": np.array([["a"], ["b"]]), "values": np.eye(2)}, "not one row of text"),
        ({"names": np.array([1, 2]), "values": np.eye(2)}, "not one row of text"),
        ({"names": np.array(["a", "b"]), "values": np.eye(2) * 1j}, "type complex128"),
        ({"names": np.array(["a", "b"]), "values": np.array([["1"], ["2"]])}, "type <U1"),
        ({"names": np.array(["a", "b"]), "values": np.eye(2), "about": np.array("[1]")}, "table of words"),
        ({"names": np.array(["a", "b"]), "values": np.eye(2), "about": np.array("{")}, "Not an embedding"),
    ],
)
def test_arrays_of_other_kinds(tmp_path, arrays, words):
    np.savez(tmp_path / "a.npz", **arrays)
    with pytest.raises(InputError, match=words):
        read_embedding(tmp_path / "a.npz")


def test_an_array_that_lies_of_its_length_takes_no_memory(tmp_path):
    header = b"\x93NUMPY\x01\x00v\x00{'descr': '<f8', 'fortran_order': False, 'shape': (2, 100000000000)}"
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("names.npy", header.ljust(127) + b"\n")
        archive.writestr("values.npy", header.ljust(127) + b"\n")
    with pytest.raises(InputError, match="Not an embedding"):
        read_embedding(tmp_path / "a.npz")
    with zipfile.ZipFile(tmp_path / "a.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("values.npy", bytes(80 << 20))
    with pytest.raises(IntegrityError, match="more than 100 times"):
        read_embedding(tmp_path / "a.npz")
