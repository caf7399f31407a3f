"""Blocks that threads compress read back through HDF5 as what was appended."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import h5py
import numpy as np
import pytest

from perturbench_lamin.curation.blocks import BLOCK, BlockWriter


@pytest.mark.parametrize("level", [0, 1, 9])
@pytest.mark.parametrize("shuffle", [False, True])
@pytest.mark.parametrize("lengths", [[], [5], [BLOCK], [BLOCK - 1, 1, 1], [3, 2 * BLOCK, 0, BLOCK + 7]])
@pytest.mark.parametrize("dtype", [np.float32, np.int32])
def test_values_read_back(tmp_path, level, shuffle, lengths, dtype):
    parts = [np.random.default_rng(n).integers(0, 9, n).astype(dtype) for n in lengths]
    with h5py.File(tmp_path / "a.h5", "w") as file, ThreadPoolExecutor(2) as pool:
        writer = BlockWriter(file, "x", dtype, level, shuffle=shuffle)
        for part in parts:
            writer.append(part, pool)
        writer.finish()
    with h5py.File(tmp_path / "a.h5") as file:
        assert file["x"].dtype == dtype
        np.testing.assert_array_equal(file["x"][:], np.concatenate([*parts, np.zeros(0, dtype=dtype)]))


def test_compression_makes_the_file_smaller(tmp_path):
    sizes = []
    for level in (0, 1):
        with h5py.File(tmp_path / "a.h5", "w") as file, ThreadPoolExecutor(1) as pool:
            writer = BlockWriter(file, "x", np.int32, level)
            writer.append(np.arange(3 * BLOCK, dtype=np.int32), pool)
            writer.finish()
        sizes.append((tmp_path / "a.h5").stat().st_size)
    assert sizes[1] < sizes[0] / 2
