"""A matrix in memory as values and bits: smaller than CSR, and faster to make dense."""

from __future__ import annotations

from dataclasses import dataclass

import llvmlite.binding as llvm  # type: ignore[import-untyped]
import numpy as np
from scipy import sparse

from perturbench_lamin.loading.compact_rows import CompactRows
from perturbench_lamin.loading.packed_kernels import BLOCK, pack_bits, unpack_indices
from perturbench_lamin.loading.row_store import Rows


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

    @property
    def nnz(self) -> int:
        """How many values are stored."""
        return len(self.data)

    def read(self, rows: np.ndarray) -> tuple[Rows, np.ndarray]:
        """Rows as CSR, each once, as :meth:`~perturbench_lamin.loading.row_store.RowStore.read`.

        Raises:
            IndexError: a row number is out of range.
        """
        if len(rows) and not (rows.min() >= 0 and rows.max() < self.shape[0]):
            raise IndexError(f"Row numbers must lie in 0 … {self.shape[0] - 1}")
        distinct, place = np.unique(rows, return_inverse=True)
        lengths = self.indptr[distinct + 1] - self.indptr[distinct]
        indptr = np.concatenate([[0], np.cumsum(lengths)])
        indices = np.empty(indptr[-1], dtype=np.int32)
        unpack_indices(self.bits, distinct, indices)
        entries = np.repeat(self.indptr[distinct] - indptr[:-1], lengths) + np.arange(indptr[-1])
        return Rows(indptr, indices, self.data[entries], (len(distinct), self.shape[1])), place

    def __getitem__(self, rows: np.ndarray) -> sparse.csr_matrix:
        """Rows by numbers or by a mask, as scipy's CSR."""
        part, place = self.read(np.flatnonzero(rows) if rows.dtype == bool else rows)
        return sparse.csr_matrix((part.data, part.indices, part.indptr), shape=part.shape)[place]


def worth_packing() -> bool:
    """Whether this processor has the instruction that makes packed rows dense at once (AVX-512's expand).

    Without it the compiler's replacement is right, but slower than CSR.
    """
    return bool(llvm.get_host_cpu_features().get("avx512f", False))
