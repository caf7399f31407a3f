"""How much memory reading takes, and that the compact matrix in memory is the file's."""

from __future__ import annotations

import tracemalloc

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse
from tiny_curated import Tiny, write

from perturbench_lamin.conditions import ObsKeys, token_table
from perturbench_lamin.contracts import CuratedInfo
from perturbench_lamin.errors import InputError
from perturbench_lamin.loading.checked_chunks import BLOCK, CHUNK_ENTRIES, require_finite
from perturbench_lamin.loading.checksum import checksum
from perturbench_lamin.loading.compact_rows import read_compact
from perturbench_lamin.loading.curated import read_curated

CELLS, GENES, STORED = 10_000, 2_000, 1_000
ROOM = 4 * CHUNK_ENTRIES * 8 + 300 * CELLS
"""Bytes of the chunk that is read, the one read ahead, the temporaries of the checks, and the cells' table."""


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    """A curated file of 10 million values, 80 MB as scipy's CSR."""
    rng = np.random.default_rng(0)
    columns = np.sort(rng.permuted(np.tile(np.arange(GENES, dtype=np.int32), (100, 1)), axis=1)[:, :STORED], axis=1)
    X = sparse.csr_matrix(
        (
            rng.random(CELLS * STORED, dtype=np.float32),
            np.tile(columns.ravel(), CELLS // 100),
            np.arange(0, CELLS * STORED + 1, STORED),
        ),
        shape=(CELLS, GENES),
    )
    obs = pd.DataFrame({"condition": np.where(np.arange(CELLS) % 2, "control", "A"), "cell_type": "K562"})
    adata = ad.AnnData(X, obs=obs.set_axis(obs.index.astype(str)).astype("category"))
    keys = ObsKeys()
    adata.uns["perturbench"] = CuratedInfo("large", keys, {}, token_table(obs["condition"], keys)).to_uns()
    path = tmp_path_factory.mktemp("large") / "large.h5ad"
    adata.write_h5ad(path)
    return path


@pytest.mark.parametrize(("memory", "bytes_a_value"), [("compact", 6), ("memory", 8), ("disk", 0)])
def test_reading_takes_little_more_than_what_is_held(large, tmp_path, memory, bytes_a_value):
    """A whole second array, or a mask of all values, would be too much."""
    read_curated(write(Tiny().data(), tmp_path / "tiny.h5ad"), memory=memory)  # imports and compiles
    tracemalloc.start()
    try:
        data = read_curated(large, memory=memory, scratch=tmp_path)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert data.X.nnz == CELLS * STORED
    assert peak <= CELLS * STORED * bytes_a_value + ROOM
    assert ROOM < 2 * CELLS * STORED, "or the compact format would not be told from the plain format"


@pytest.fixture(scope="module")
def plain_and_compact(tmp_path_factory):
    X = sparse.random(60, 40, density=0.3, format="csr", dtype=np.float32, random_state=0)
    path = tmp_path_factory.mktemp("x") / "x.h5ad"
    ad.AnnData(X).write_h5ad(path)
    return X, read_compact(path)


def test_a_compact_matrix_is_the_files(plain_and_compact):
    X, compact = plain_and_compact
    assert (compact.indices.dtype, compact.data.dtype, compact.shape, compact.nnz) == (np.uint16, "f4", X.shape, X.nnz)
    assert checksum(compact) == checksum(X)
    np.testing.assert_array_equal(compact.matrix().toarray(), X.toarray())


@settings(max_examples=20, deadline=None)
@given(rows=st.lists(st.integers(0, 59), max_size=90))
def test_compact_rows_are_the_matrix(plain_and_compact, rows):
    X, compact = plain_and_compact
    numbers = np.array(rows, dtype=np.int64)
    np.testing.assert_array_equal(compact[numbers].toarray(), X[numbers].toarray())
    mask = np.isin(np.arange(60), numbers)
    np.testing.assert_array_equal(compact[mask].toarray(), X[mask].toarray())


@pytest.mark.parametrize("convert", [sparse.csc_matrix, np.asarray])
def test_columns_first_or_dense_expression_is_compact_as_the_same(tmp_path, convert):
    dense = sparse.random(60, 40, density=0.3, dtype=np.float32, random_state=0).toarray()
    ad.AnnData(convert(dense)).write_h5ad(tmp_path / "x.h5ad")
    compact = read_compact(tmp_path / "x.h5ad")
    np.testing.assert_array_equal(compact.matrix().toarray(), dense)
    assert len(compact.data) == np.count_nonzero(dense), "only stored values stay"


def test_more_genes_than_two_bytes_can_number(tmp_path):
    X = sparse.csr_matrix(([1.5, 2.0], ([0, 1], [65_536, 3])), shape=(2, 65_537), dtype=np.float32)
    ad.AnnData(X).write_h5ad(tmp_path / "x.h5ad")
    compact = read_compact(tmp_path / "x.h5ad")
    assert compact.indices.dtype == np.int32
    assert (compact.matrix() != X).nnz == 0


@pytest.mark.parametrize("place", [0, BLOCK - 1, BLOCK, BLOCK + 6])
def test_no_block_is_left_unchecked(place):
    values = np.ones(BLOCK + 7, np.float32)
    require_finite(values, "x")
    values[place] = np.nan
    with pytest.raises(InputError, match="NaN or infinite"):
        require_finite(values, "x")
