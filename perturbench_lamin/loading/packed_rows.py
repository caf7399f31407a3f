"""A matrix in memory as values and bits: smaller than CSR, and faster to make dense."""

from __future__ import annotations

from dataclasses import dataclass

import llvmlite.binding as llvm  # type: ignore[import-untyped]
import numpy as np
from scipy import sparse

from perturbench_lamin.loading.compact_rows import CompactRows
from perturbench_lamin.loading.packed_kernels import BLOCK, pack_bits


@dataclass(frozen=True)
class PackedRows:
    """A sparse matrix whose gene numbers are bits: genes / 8 bytes a cell, whatever number of values it has.

    Attributes:
        indptr: where each row's values start, and where the last one's end (cells + 1, int64).
        bits: which genes have a value (cells × ⌈genes / 16⌉, uint16).
        data: the values, row after row, by ascending gene (entries, float32).
        shape: cells × genes.
    """

    indptr: np.ndarray
    bits: np.ndarray
    data: np.ndarray
    shape: tuple[int, int]

    @classmethod
    def of(cls, matrix: sparse.csr_matrix | CompactRows) -> PackedRows:
        """A canonical CSR matrix of float32, packed; the values are shared with it."""
        bits = np.zeros((matrix.shape[0], -(-matrix.shape[1] // BLOCK)), dtype=np.uint16)
        pack_bits(matrix.indptr, matrix.indices, bits)
        return cls(matrix.indptr.astype(np.int64, copy=False), bits, matrix.data, matrix.shape)


def worth_packing() -> bool:
    """Whether this processor has the instruction that makes packed rows dense at once (AVX-512's expand).

    Without it the compiler's replacement is right, but slower than CSR.
    """
    return bool(llvm.get_host_cpu_features().get("avx512f", False))
