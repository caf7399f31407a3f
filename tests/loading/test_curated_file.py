from __future__ import annotations

import os

import anndata as ad
import h5py
import numpy as np
import pytest
import torch
from tiny_curated import Tiny, write

from perturbench_lamin.errors import InputError
from perturbench_lamin.loading import curated_file, placement
from perturbench_lamin.loading.curated import read_curated
from perturbench_lamin.loading.curated_file import CuratedFile
from perturbench_lamin.loading.fingerprint import fingerprint

DATA = Tiny().data()
CPU = torch.device("cpu")


@pytest.fixture
def path(tmp_path):
    path = write(DATA, tmp_path / "tiny.h5ad")
    adata, rng = ad.read_h5ad(path), np.random.default_rng(0)
    for name, width in {"one": 3, "two": 2}.items():
        adata.obsm[name] = rng.normal(size=(adata.n_obs, width)).astype(np.float32)
    adata.write_h5ad(path)
    return path


@pytest.fixture
def read(monkeypatch):
    """How the file was read, each time."""
    found, reader = [], curated_file.read_curated
    monkeypatch.setattr(curated_file, "read_curated", lambda *a, **k: found.append(k["memory"]) or reader(*a, **k))
    return found


@pytest.mark.parametrize("read_as", ["memory", "disk"])
@pytest.mark.parametrize("embedding", ["", "one"])
def test_it_is_read_once_and_says_what_the_file_itself_says(path, read, read_as, embedding):
    file = CuratedFile(path)
    for _ in range(2):
        data, seen = file.whole(read_as, embedding=embedding)
        assert dict(seen) == fingerprint(read_curated(path, embedding=embedding))
    assert read == [read_as]
    assert file.cells(embedding).X is data.X
    rows, told = file.rows(file.cells(embedding), np.array([1]))
    assert rows.X is data.X
    assert told == seen


def test_another_embedding_is_all_that_is_read(path, read):
    file = CuratedFile(path)
    first, one = file.whole("memory", embedding="one")
    second, two = file.whole("memory", embedding="two")
    assert second.X is first.X
    assert second.embedding_widths == {"two": 2}
    assert {name for name in two if two[name] != one[name]} == {"embedding"}
    assert file.whole("memory")[0].embedding is None
    assert read == ["memory"]
    with pytest.raises(InputError, match="Did you mean one"):
        file.whole("memory", embedding="onee")


def test_a_file_that_was_written_to_is_read_again(path, read):
    file = CuratedFile(path)
    _, before = file.whole("memory")
    with h5py.File(path, "r+") as h5:
        h5["X/data"][0] += 1
    os.utime(path, ns=(1, 1))  # a clock of coarse steps would not see so small a pause
    _, after = file.whole("memory")
    assert after["expression"] != before["expression"]
    assert read == ["memory"] * 2
    path.unlink()
    with pytest.raises(InputError, match="No such curated file"):
        file.whole("memory")


def test_what_is_held_is_no_reason_against_itself(path, monkeypatch):
    file = CuratedFile(path)
    monkeypatch.setattr(placement, "free_memory", lambda: 1 << 30)
    assert file.place("auto", CPU).where == "memory"
    monkeypatch.setattr(placement, "free_memory", lambda: 0)
    assert file.place("auto", CPU).where == "memory"
    assert CuratedFile(path).place("auto", CPU).where == "disk"
    assert file.place("auto", CPU, 2).where == "disk", "another question"


def test_some_rows_of_a_file_that_is_not_held(path, read):
    file, rows = CuratedFile(path), np.array([2, 5, 11])
    data, seen = file.rows(file.cells("one"), rows)
    np.testing.assert_array_equal(data.X[rows].toarray(), DATA.X[rows].toarray())
    assert np.diff(data.X.indptr).nonzero()[0].tolist() == rows.tolist()
    whole = fingerprint(read_curated(path, embedding="one"))
    assert seen == {name: whole[name] for name in ("genes", "cells", "embedding", "sample")}
    assert read == ["none"]


def test_a_file_is_itself(path):
    file = CuratedFile(path)
    assert CuratedFile.of(file) is file
    assert CuratedFile.of(str(path)).path == path
