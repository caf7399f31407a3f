"""Packed rows: the same values as the matrix they were made of, wherever they are written."""

from __future__ import annotations

from itertools import pairwise

import anndata as ad
import h5py
import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse
from test_batches import DATA, SPLIT

from perturbench_lamin.loading import datamodule
from perturbench_lamin.loading.compact_rows import read_compact
from perturbench_lamin.loading.datamodule import PerturbationData
from perturbench_lamin.loading.gather import gather_rows
from perturbench_lamin.loading.packed_kernels import expand_rows
from perturbench_lamin.loading.packed_rows import PackedRows


def matrix(seed: int, cells: int, genes: int, density: float) -> sparse.csr_matrix:
    made = sparse.random(cells, genes, density=density, format="csr", dtype=np.float32, random_state=seed)
    made.sort_indices()
    made.data[::5] = 0  # zeros may be stored
    return made


@settings(max_examples=80, deadline=None)
@given(
    seed=st.integers(0, 1000),
    shape=st.tuples(st.integers(1, 12), st.integers(1, 120)),
    density=st.sampled_from([0.0, 0.1, 1.0]),
    n_rows=st.integers(0, 20),
    offset=st.integers(0, 20),
    stream=st.booleans(),
)
def test_rows_are_written_whole_and_nothing_beside_them(seed, shape, density, n_rows, offset, stream):
    """Wherever the result begins in a cache line, and however many genes a row has."""
    X = matrix(seed, *shape, density)
    packed = PackedRows.of(X)
    rows = np.random.default_rng(seed).integers(0, shape[0], n_rows)
    memory = np.full(offset + n_rows * shape[1] + 40, -7, dtype=np.float32)
    out = memory[offset : offset + n_rows * shape[1]].reshape(n_rows, shape[1])
    expand_rows(packed.indptr, packed.bits, packed.data, rows, out, stream)
    np.testing.assert_array_equal(out, X[rows].toarray().reshape(out.shape))
    assert (memory[:offset] == -7).all()
    assert (memory[offset + out.size :] == -7).all()


def test_a_large_batch_by_several_threads():
    X = matrix(0, 3000, 3001, 0.05)
    rows = np.random.default_rng(0).integers(0, 3000, 3500)
    assert rows.size * 3001 * 4 > 32 << 20, "large enough to be written past the caches"
    for threads in (1, 3):
        np.testing.assert_array_equal(gather_rows(PackedRows.of(X), rows, threads=threads), X[rows].toarray())


def test_they_take_less_memory_than_csr():
    X = matrix(0, 2000, 4000, 0.11)
    packed = PackedRows.of(X)
    assert packed.bits.nbytes + packed.data.nbytes < 0.7 * (X.indices.nbytes + X.data.nbytes)
    assert packed.data is X.data


def test_training_packs_where_the_processor_is_fast_at_it(monkeypatch):
    modules = {}
    for worth in (True, False):
        monkeypatch.setattr(datamodule, "worth_packing", lambda worth=worth: worth)
        modules[worth] = PerturbationData(DATA, SPLIT, batch_size=11)
        assert isinstance(modules[worth].train.X, PackedRows) == worth
        assert modules[worth].val.X is modules[worth].train.X
    for one, two in zip(*(module.train_dataloader() for module in modules.values()), strict=True):
        assert torch.equal(one.controls, two.controls)
        assert torch.equal(one.target, two.target)


def test_batches_that_are_held_keep_their_values_whatever_comes_after():
    """Also a part of a batch alone: its two matrices share memory that is used again when nobody holds either."""
    module = PerturbationData(DATA, SPLIT, batch_size=7)
    held = [(batch.controls[2:], batch.target.sum()) for batch in module.train_dataloader()]
    targets = [batch.target for batch in module.train_dataloader()]
    for (controls, total), target, batch in zip(held, targets, module.train_dataloader(), strict=True):
        assert torch.equal(controls, batch.controls[2:])
        assert torch.equal(target, batch.target)
        assert total == batch.target.sum()


def test_a_file_whose_gene_numbers_are_in_disorder_gives_the_same_rows(tmp_path):
    """Packed values stand by ascending gene: in disorder they would come under wrong genes, unseen."""
    X = matrix(0, 50, 40, 0.3)
    ad.AnnData(X).write_h5ad(tmp_path / "x.h5ad")
    places = np.concatenate([np.arange(start, stop)[::-1] for start, stop in pairwise(X.indptr)])
    with h5py.File(tmp_path / "x.h5ad", "r+") as file:
        file["X/indices"][:], file["X/data"][:] = X.indices[places], X.data[places]
    packed = PackedRows.of(read_compact(tmp_path / "x.h5ad"))
    np.testing.assert_array_equal(gather_rows(packed, np.arange(50)), X.toarray())
