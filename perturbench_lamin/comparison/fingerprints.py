"""A number for each cell's content, the same whatever the dtype, the encoding and the order of genes given."""

from __future__ import annotations

import numba
import numpy as np

from perturbench_lamin.curation.source import CountSource


def fingerprints(source: CountSource) -> np.ndarray:
    """A 64-bit digest of each row's values as float32; two unlike rows share one with a probability of about 1e-19.

    Args:
        source: the matrix, whose columns stand for the same genes in both files.

    Returns:
        (cells,) uint64.
    """
    digests = np.zeros(source.shape[0], dtype=np.uint64)
    for start, rows in source.row_chunks():
        values = rows.data.astype(np.float32)
        stop = start + rows.shape[0]
        _digest(rows.indptr.astype(np.int64), rows.indices, values.view(np.uint32), digests[start:stop])
    return digests


@numba.njit(nogil=True, cache=True)
def _mix(word: np.uint64) -> np.uint64:
    """The finaliser of splitmix64 (Steele, Lea and Flood, OOPSLA 2014)."""
    word = (word ^ (word >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    word = (word ^ (word >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return word ^ (word >> np.uint64(31))


@numba.njit(nogil=True, cache=True)
def _digest(indptr: np.ndarray, indices: np.ndarray, bits: np.ndarray, digests: np.ndarray) -> None:
    for row in range(len(digests)):
        total = np.uint64(0)
        for entry in range(indptr[row], indptr[row + 1]):
            if bits[entry] & np.uint32(0x7FFFFFFF):  # neither 0 nor −0, stored or not
                total += _mix(_mix(np.uint64(indices[entry]) + np.uint64(0x9E3779B97F4A7C15)) + np.uint64(bits[entry]))
        digests[row] = total
