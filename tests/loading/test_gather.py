from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from perturbench_lamin.loading.gather import Buffers, gather_rows


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 1000),
    shape=st.tuples(st.integers(1, 30), st.integers(1, 40)),
    density=st.sampled_from([0.0, 0.1, 0.9]),
    n_rows=st.integers(0, 50),
    threads=st.sampled_from([None, 1, 2, 3, 8]),
)
def test_the_same_as_scipy(seed, shape, density, n_rows, threads):
    matrix = sparse.random(*shape, density=density, format="csr", dtype=np.float32, random_state=seed)
    rows = np.random.default_rng(seed).integers(0, shape[0], n_rows)
    dense = gather_rows(matrix, rows, threads=threads)
    assert dense.dtype == np.float32
    np.testing.assert_array_equal(dense, matrix[rows].toarray().reshape(n_rows, shape[1]))


@pytest.mark.parametrize("row", [-1, 3])
def test_rows_out_of_range_are_an_error(row):
    with pytest.raises(IndexError, match=r"0 … 2"):
        gather_rows(sparse.csr_matrix(np.eye(3, dtype=np.float32)), np.array([0, row]))


def random_matrix(seed: int = 0) -> sparse.csr_matrix:
    return sparse.random(50, 30, density=0.3, format="csr", dtype=np.float32, random_state=seed)


def test_memory_is_used_again_only_when_nobody_holds_it():
    matrix, buffers = random_matrix(), Buffers()
    first = torch.from_numpy(gather_rows(matrix, np.arange(20), buffers=buffers))
    place, part = first.data_ptr(), first[3:5]
    del first
    second = torch.from_numpy(gather_rows(matrix, np.arange(20, 40), buffers=buffers))
    assert second.data_ptr() != place, "a part of the first is still held"
    np.testing.assert_array_equal(part.numpy(), matrix[3:5].toarray())
    del part
    third = torch.from_numpy(gather_rows(matrix, np.arange(5, 15), buffers=buffers))
    assert third.data_ptr() == place
    np.testing.assert_array_equal(third.numpy(), matrix[5:15].toarray())
    np.testing.assert_array_equal(second.numpy(), matrix[20:40].toarray())


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 20), st.booleans()), max_size=12), st.integers(0, 3))
def test_whatever_is_held_stays_as_it_was(steps, keep):
    matrix, buffers, held = random_matrix(), Buffers(keep), []
    rng = np.random.default_rng(0)
    for n_rows, drop in steps:
        rows = rng.integers(0, 50, n_rows)
        held.append((rows, torch.from_numpy(gather_rows(matrix, rows, buffers=buffers))))
        if drop:
            held.pop(0)
    for rows, tensor in held:
        np.testing.assert_array_equal(tensor.numpy(), matrix[rows].toarray())
    assert len(buffers._kept) <= keep
