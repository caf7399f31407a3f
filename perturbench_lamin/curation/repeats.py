"""Cells that a deposit holds twice."""

from __future__ import annotations

import numpy as np
import pandas as pd

from perturbench_lamin.curation.source import CountSource


def repeated_cells(source: CountSource) -> np.ndarray:
    """Which cells are an earlier cell again: the same name and the same counts.

    Two objects of one deposit may share cells. Left in, a cell could be trained on and tested on. Cells that only
    share a name are different cells, whose names need to be told apart.

    Returns:
        (cells,) bool, in the order of ``source``.
    """
    shared = source.obs_names.duplicated(keep=False)
    repeated = np.zeros(len(shared), dtype=bool)
    rows = np.flatnonzero(shared)
    if len(rows):
        digests = _row_digests(source.select_cells(rows))
        seen = pd.MultiIndex.from_arrays([source.obs_names[rows], digests])
        repeated[rows] = seen.duplicated(keep="first")
    return repeated


def _row_digests(source: CountSource) -> np.ndarray:
    """A 64-bit digest of each row's counts; two different rows share one with a probability of about 1e-19."""
    keys = np.random.default_rng(0).integers(0, 2**64, size=(2, source.shape[1]), dtype=np.uint64)
    digests = np.zeros(source.shape[0], dtype=np.uint64)
    for start, rows in source.row_chunks():
        counts = rows.data.astype(np.uint64)
        words = (counts + keys[0][rows.indices]) * (keys[1][rows.indices] | np.uint64(1))
        words ^= words >> np.uint64(29)
        sums = np.concatenate([[np.uint64(0)], np.cumsum(words, dtype=np.uint64)])
        digests[start : start + rows.shape[0]] = sums[rows.indptr[1:]] - sums[rows.indptr[:-1]]
    return digests
