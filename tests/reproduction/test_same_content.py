from __future__ import annotations

import json

import anndata as ad
import h5py
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from perturbench_lamin.errors import IntegrityError
from perturbench_lamin.reproduction.same_content import Verdict, same_content


def adata(scale=1.0, uns="uid-then"):
    rng = np.random.default_rng(0)
    X = sparse.random(40, 7, 0.4, format="csr", dtype=np.float32, random_state=0)
    X.data *= scale
    obs = pd.DataFrame({"condition": pd.Categorical(["a", "b"] * 20), "dose": rng.random(40)})
    obs.index = [f"cell{i}" for i in range(40)]
    return ad.AnnData(X, obs=obs, uns={"from": {"uid": uns}})


@pytest.fixture
def h5ads(tmp_path):
    def write(one, other, **compression):
        one.write_h5ad(tmp_path / "one.h5ad")
        other.write_h5ad(tmp_path / "other.h5ad", **compression)
        return tmp_path / "one.h5ad", tmp_path / "other.h5ad", ".h5ad"

    return write


def test_other_bytes_with_the_same_cells_are_identical(h5ads):
    one, other, suffix = h5ads(adata(), adata(), compression="gzip")
    assert one.read_bytes() != other.read_bytes()
    assert same_content(one, other, suffix).state == "identical"


def test_rounding_is_equivalent_and_a_change_is_different(h5ads):
    assert same_content(*h5ads(adata(), adata(scale=1 + 1e-6))).state == "equivalent"
    assert same_content(*h5ads(adata(), adata(scale=1.01))).state == "different"


@pytest.mark.parametrize("change", ["value", "category", "column", "order", "cells", "sparse"])
def test_every_change_of_content_is_seen(h5ads, change):
    changed = adata()
    if change == "value":
        changed.X.data[5] += 1
    if change == "category":
        changed.obs["condition"] = changed.obs["condition"].cat.rename_categories({"a": "c"})
    if change == "column":
        changed.obs["more"] = 1
    if change == "order":
        changed.obs = changed.obs[["dose", "condition"]]
    if change == "cells":
        changed = changed[:39].copy()
    if change == "sparse":
        changed.X = sparse.csc_matrix(changed.X)
    verdict = same_content(*h5ads(adata(), changed))
    assert verdict.state == "different"
    assert verdict.detail


@pytest.mark.parametrize("change", ["dtype", "attribute", "index", "root"])
def test_what_no_value_shows_is_no_identity(h5ads, change):
    one, other, suffix = h5ads(adata(), adata())
    with h5py.File(other, "r+") as file:
        if change == "dtype":
            dose = file["obs/dose"]
            wide, told = dose[:].astype(">f8"), dict(dose.attrs)
            del file["obs/dose"]
            file["obs"].create_dataset("dose", data=wide, chunks=(3,)).attrs.update(told)
        if change == "attribute":
            file["uns/from"].attrs["note"] = "another"
        if change == "index":
            file["obs/_index"].attrs["encoding-version"] = "0.9"
        if change == "root":
            file.attrs["made-by"] = "someone"
    assert same_content(one, other, suffix).state == ("identical" if change == "dtype" else "different")
    if change == "dtype":  # byte order and chunks are the layout; a wider type is another
        with h5py.File(one, "r+") as file:
            narrow = file["layers"].create_dataset
            narrow("n", data=np.ones((40, 7), dtype=np.int32))
        with h5py.File(other, "r+") as file:
            file["layers"].create_dataset("n", data=np.ones((40, 7), dtype=np.int64))
        assert same_content(one, other, suffix) == Verdict("different", "/layers/n: int32 / int64")


def test_a_count_is_the_same_or_different(h5ads):
    one, other = adata(), adata()
    for each, most in ((one, 1_000_000), (other, 1_000_001)):
        each.layers["counts"] = sparse.csr_matrix(np.full((40, 7), most, dtype=np.int32))
    assert same_content(*h5ads(one, other)) == Verdict("different", "/layers/counts/data")


def test_a_uid_that_stands_for_another_is_no_difference_but_any_other_word_is(h5ads):
    files = h5ads(adata(), adata(uns="uid-now"))
    assert same_content(*files).state == "different"
    assert same_content(*files, {"uid-then": "uid-now"}).state == "identical"
    assert same_content(*files, {"uid-then": "uid-else"}).state == "different"


def write(folder, suffix, one, other):
    paths = folder / f"one{suffix}", folder / f"other{suffix}"
    for path, text in zip(paths, (one, other), strict=True):
        path.write_text(text)
    return (*paths, suffix)


@pytest.mark.parametrize(
    ("one", "other", "state"),
    [
        ("m,v\na,0.5\n", "m,v\r\na,0.5\r\n", "identical"),
        ("m,v\na,0.5\n", "m,v\na,0.50\n", "equivalent"),
        ("m,v\na,007\n", "m,v\na,7\n", "equivalent"),
        ("m,v\na,0.5\n", "m,v\na,0.5000001\n", "equivalent"),
        ("m,v\na,0.5\n", "m,v\na,0.6\n", "different"),
        ("m,v\na,0.5\n", "m,v\nb,0.5\n", "different"),
        ("m,v\na,0.5\n", "m,v\na,\n", "different"),
        ("m,v\na,0.5\n", "m,v\na,0.5\na,0.5\n", "different"),
        ("cell1,train\n", "cell1,\n", "different"),
        ("m,v\na,0.5\n\nb,1\n", "m,v\na,0.5\nb,1\n", "different"),
        ("m,v\na,1000000\n", "m,v\na,1000001\n", "different"),
        ("m,v\na,9007199254740993\n", "m,v\na,9007199254740992\n", "different"),
    ],
)
def test_tables_are_compared_by_value(tmp_path, one, other, state):
    assert same_content(*write(tmp_path, ".csv", one, other)).state == state


@given(st.lists(st.floats(allow_nan=False, width=32), min_size=1, max_size=5), st.integers(0, 4), st.floats(0.01, 10))
@settings(max_examples=25, deadline=None)
def test_a_changed_number_is_never_identical(tmp_path_factory, numbers, place, change):
    folder = tmp_path_factory.mktemp("parquet")
    table = pd.DataFrame({"value": np.asarray(numbers, dtype=np.float64)})
    other = table.copy()
    place %= len(numbers)
    other.loc[place, "value"] = table.loc[place, "value"] * (1 + change) + change
    table.to_parquet(folder / "one.parquet")
    other.to_parquet(folder / "other.parquet")
    verdict = same_content(folder / "one.parquet", folder / "other.parquet", ".parquet")
    expected = "identical" if other.equals(table) else "different"
    assert verdict.state == expected


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"n": [1 << 53]}, {"n": [(1 << 53) + 1]}),
        ({"n": [1]}, {"n": ["1"]}),
        ({"n": np.float32([1])}, {"n": np.float64([1])}),
    ],
)
def test_other_types_and_whole_numbers_of_parquet_are_different(tmp_path, one, other):
    pd.DataFrame(one).to_parquet(tmp_path / "one.parquet")
    pd.DataFrame(other).to_parquet(tmp_path / "other.parquet")
    assert same_content(tmp_path / "one.parquet", tmp_path / "other.parquet", ".parquet").state == "different"


def test_json_by_value_and_text_by_bytes(tmp_path):
    one, other = json.dumps({"a": [1, 2.0], "b": True}), json.dumps({"b": True, "a": [1, 2.0]})
    assert same_content(*write(tmp_path, ".json", one, other)).state == "identical"
    assert same_content(*write(tmp_path, ".json", one, one.replace("true", "false"))).state == "different"
    assert same_content(*write(tmp_path, ".json", one, one.replace("2.0", "2.0000001"))).state == "equivalent"
    assert same_content(*write(tmp_path, ".json", one, one.replace("true", "1"))).state == "different"
    assert same_content(*write(tmp_path, ".txt", "a", "b")).state == "different"
    assert same_content(*write(tmp_path, ".html", "a", "b")).state == "ignored"


def test_checkpoints_by_their_tensors(tmp_path):
    import torch

    def checkpoint(name, weight, place="here"):
        path = tmp_path / name
        torch.save({"state_dict": {"w": torch.tensor(weight)}, "callbacks": {place: torch.ones(1)}, "epoch": 3}, path)
        return path

    one = checkpoint("one.ckpt", [1.0, 2.0])
    assert same_content(one, checkpoint("b.ckpt", [1.0, 2.0], "there"), ".ckpt").state == "identical"
    assert same_content(one, checkpoint("c.ckpt", [1.0, 2.000001]), ".ckpt").state == "equivalent"
    assert same_content(one, checkpoint("d.ckpt", [1.0, 2.1]), ".ckpt").state == "different"
    assert same_content(one, checkpoint("e.ckpt", [1.0]), ".ckpt").state == "different"


def test_checkpoints_by_their_types_and_by_what_the_model_is(tmp_path):
    import torch

    def checkpoint(name, weight, genes):
        block = {"model": "m", "vocabulary": {"genes": genes}, "provenance": {"split": name}}
        torch.save({"state_dict": {"w": weight}, "perturbench_lamin": block}, tmp_path / name)
        return tmp_path / name

    weight = torch.tensor([1.0, 2.0])
    one = checkpoint("one.ckpt", weight, ["a", "b"])
    assert same_content(one, checkpoint("b.ckpt", weight, ["a", "b"]), ".ckpt").state == "identical"
    assert same_content(one, checkpoint("c.ckpt", weight, ["a", "c"]), ".ckpt").state == "different"
    found = same_content(one, checkpoint("d.ckpt", weight.double(), ["a", "b"]), ".ckpt")
    assert (found.state, "float64" in found.detail) == ("different", True)


@pytest.mark.parametrize("suffix", [".json", ".parquet", ".h5ad"])
def test_what_cannot_be_read_is_named(tmp_path, suffix):
    with pytest.raises(IntegrityError, match=f"other{suffix}|one{suffix}"):
        same_content(*write(tmp_path, suffix, "{", "{]"))


def test_a_checkpoint_that_cannot_be_read_is_named(tmp_path):
    import torch

    one, other = tmp_path / "one.ckpt", tmp_path / "other.ckpt"
    torch.save({"state_dict": {"w": torch.zeros(100)}}, one)
    whole = bytearray(one.read_bytes())
    whole[whole.index(bytes(400)) + 40] ^= 0xFF  # in the weights: torch compares no checksum
    other.write_bytes(whole)
    with pytest.raises(IntegrityError, match=r"other\.ckpt"):
        same_content(one, other, ".ckpt")
    other.write_bytes(b"no checkpoint")
    with pytest.raises(IntegrityError, match=r"other\.ckpt"):
        same_content(one, other, ".ckpt")
