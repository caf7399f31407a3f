"""Expression in memory, on disk and on a device: the same bits."""

from __future__ import annotations

from dataclasses import replace

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse
from test_batches import DATA, SPLIT, split_data
from tiny_curated import Tiny, write

from perturbench_lamin.errors import InputError
from perturbench_lamin.loading.batches import SAMPLINGS, BatchLoader
from perturbench_lamin.loading.checksum import Checksum, checksum
from perturbench_lamin.loading.curated import curated, read_curated
from perturbench_lamin.loading.device_rows import DeviceRows
from perturbench_lamin.loading.expression import dense_rows, grouped_rows
from perturbench_lamin.loading.packed_rows import PackedRows
from perturbench_lamin.loading.row_store import unpack


def stored(X, folder) -> object:
    """The matrix on disk, through a file."""
    ad.AnnData(X, obs=pd.DataFrame(index=[f"c{i}" for i in range(X.shape[0])])).write_h5ad(folder / "x.h5ad")
    return unpack(folder / "x.h5ad")


@pytest.fixture(scope="module")
def sources(tmp_path_factory):
    X = sparse.random(60, 40, density=0.3, format="csr", dtype=np.float32, random_state=0)
    X.data[::7] = 0  # zeros may be stored
    return {
        "memory": X,
        "packed": PackedRows.of(X),
        "disk": stored(X, tmp_path_factory.mktemp("x")),
        "device": DeviceRows.of(X, "cpu"),
    }


@settings(max_examples=30, deadline=None)
@given(rows=st.lists(st.integers(0, 59), min_size=1, max_size=90), seed=st.integers(0, 9))
def test_rows_and_means_are_the_same_wherever_they_are_held(sources, rows, seed):
    rows = np.array(rows)
    plain = sources["memory"].toarray()[rows]
    _, groups = np.unique(np.random.default_rng(seed).integers(0, 5, len(rows)), return_inverse=True)
    n = groups.max() + 1
    means = np.stack([plain[groups == group].mean(0, dtype=np.float64) for group in range(n)])
    scatter = ((plain - means[groups]) ** 2).sum()
    for X in sources.values():
        np.testing.assert_array_equal(dense_rows(X, rows).numpy(), plain)
        found, around = grouped_rows(X, rows, groups, n)
        assert found.dtype == torch.float32
        assert around.dtype == torch.float64
        np.testing.assert_array_equal(found.numpy(), means.astype(np.float32))
        np.testing.assert_allclose(around.item(), scatter, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("where", ["memory", "packed", "disk", "device"])
@pytest.mark.parametrize("row", [-1, 60])
def test_rows_out_of_range_are_an_error_everywhere(sources, where, row):
    with pytest.raises(IndexError, match="0 … 59"):
        dense_rows(sources[where], np.array([0, row]))


@pytest.mark.parametrize("name", SAMPLINGS)
@pytest.mark.parametrize("where", ["packed", "disk", "device"])
@pytest.mark.parametrize("prefetch", [0, 1, 3])
def test_the_same_seed_gives_the_same_batches(tmp_path, name, where, prefetch):
    """Wherever the expression is, and however many threads make batches ahead."""
    data = split_data("train")
    held = {
        "packed": lambda: PackedRows.of(DATA.X),
        "disk": lambda: unpack(write(DATA, tmp_path / "x.h5ad")),
        "device": lambda: DeviceRows.of(DATA.X, "cpu"),
    }
    other = SAMPLINGS[name](replace(data, X=held[where]()))
    plain = BatchLoader(SAMPLINGS[name](data), batch_size=11, seed=3, shuffle=True)
    here = BatchLoader(other, batch_size=11, seed=3, shuffle=True, prefetch=prefetch)
    for epoch in (0, 2):
        plain.set_epoch(epoch)
        here.set_epoch(epoch)
        for one, two in zip(plain, here, strict=True):
            for field in vars(one):
                left, right = getattr(one, field), getattr(two, field)
                if field == "scatter":
                    torch.testing.assert_close(left, right)
                else:
                    assert torch.equal(left, right) if isinstance(left, torch.Tensor) else left == right, field


def test_a_stored_matrix_gives_rows_by_numbers_and_by_a_mask(sources):
    X, rows = sources["memory"], np.array([5, 1, 5])
    mask = np.arange(60) % 3 == 0
    for wanted in (rows, mask):
        part = sources["disk"][wanted]
        assert part.indices.dtype == np.int32
        np.testing.assert_array_equal(part.toarray(), X[wanted].toarray())
    assert sources["disk"].nnz == X.nnz
    assert sources["disk"].shape == X.shape


def test_a_file_read_to_disk_is_the_same_file(tmp_path):
    path = write(DATA, tmp_path / "tiny.h5ad")
    disk, memory, none = (read_curated(path, memory=where) for where in ("disk", "memory", "none"))
    np.testing.assert_array_equal(disk.X[np.arange(len(DATA.obs))].toarray(), memory.X.toarray())
    pd.testing.assert_frame_equal(disk.obs, memory.obs)
    assert checksum(disk.X) == checksum(memory.X)
    assert none.X.shape == memory.X.shape
    assert none.X.nnz == 0
    with pytest.raises(InputError, match="Did you mean disk"):
        read_curated(path, memory="disc")


@pytest.mark.parametrize("convert", [sparse.csc_matrix, np.asarray])
def test_columns_first_or_dense_expression_is_unpacked_as_the_same(tmp_path, convert, sources):
    dense = sources["memory"].toarray()
    np.testing.assert_array_equal(stored(convert(dense), tmp_path)[np.arange(60)].toarray(), dense)


def test_unpacking_leaves_nothing_and_wants_numbers_and_room(tmp_path, monkeypatch):
    folder = tmp_path / "scratch"
    folder.mkdir()
    data = Tiny().data()
    path = write(data, tmp_path / "x.h5ad")
    held = unpack(path, folder)
    assert not list(folder.iterdir())
    assert held.nnz == data.X.nnz
    monkeypatch.setattr("shutil.disk_usage", lambda _: type("Usage", (), {"free": 100}))
    with pytest.raises(InputError, match="a larger disk"):
        unpack(path, folder)


def test_unpacking_refuses_what_is_no_number(tmp_path):
    data = Tiny().data()
    data.X.data[4] = np.inf
    with pytest.raises(InputError, match="NaN or infinite"):
        unpack(write(data, tmp_path / "x.h5ad"))


def test_the_checksum_sees_values_and_their_places_but_not_blocks():
    X = DATA.X
    parts = Checksum()
    for start in range(0, X.nnz, 17):
        parts.add(X.indices[start : start + 17], X.data[start : start + 17])
    assert parts.value == checksum(X)
    other = X.copy()
    other.data[[3, 4]] = other.data[[4, 3]]
    assert checksum(other) != checksum(X)
    other = curated(X * np.float32(1.5), DATA.obs, DATA.genes, DATA.info).X
    assert checksum(other) != checksum(X)
    assert len(SPLIT) == X.shape[0]
