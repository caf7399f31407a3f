"""A matrix in memory that is read by rows, in as few bytes as its values take."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy import sparse

from perturbench_lamin.curation.source_h5ad import H5adSource
from perturbench_lamin.loading.checked_chunks import checked_chunks, smallest_dtype
from perturbench_lamin.loading.checksum import Checksum


@dataclass(frozen=True)
class CompactRows:
    """A canonical CSR matrix with gene numbers of two bytes where these suffice: three quarters of scipy's size.

    Attributes:
        indptr: row pointers (cells + 1, int64).
        indices: gene numbers (entries, uint16 or int32).
        data: values (entries, float32).
        shape: cells × genes.
        checksum: of the contents, see :class:`~perturbench_lamin.loading.checksum.Checksum`.
    """

    indptr: np.ndarray
    indices: np.ndarray
    data: np.ndarray
    shape: tuple[int, int]
    checksum: int

    @property
    def nnz(self) -> int:
        """How many values are stored."""
        return int(self.indptr[-1])

    def __getitem__(self, rows: np.ndarray) -> sparse.csr_matrix:
        """Rows by numbers or by a mask, as a matrix of scipy's."""
        wanted = np.flatnonzero(rows) if rows.dtype == bool else rows
        starts, lengths = self.indptr[wanted], np.diff(self.indptr)[wanted]
        indptr = np.concatenate([[0], np.cumsum(lengths)])
        entries = np.repeat(starts - indptr[:-1], lengths) + np.arange(indptr[-1])
        indices = self.indices[entries].astype(np.int32, copy=False)
        return sparse.csr_matrix((self.data[entries], indices, indptr), shape=(len(wanted), self.shape[1]))

    def matrix(self) -> sparse.csr_matrix:
        """The whole as a matrix of scipy's, which shares memory where its gene numbers are int32."""
        indices = self.indices.astype(np.int32, copy=False)
        whole = sparse.csr_matrix((self.data, indices, self.indptr), shape=self.shape)
        whole.has_canonical_format = True  # known: scipy need not look through it
        return whole


def read_compact(path: str | Path, dtype: type[np.integer] | None = None) -> CompactRows:
    """Read the expression of a curated file, piece by piece into its place: no part is in memory twice.

    Args:
        path: a curated h5ad file; its ``X`` may be CSR, CSC or dense.
        dtype: of the gene numbers; by default the smallest that suffices.

    Raises:
        InputError: ``X`` has NaN or infinite values or counts.
    """
    with H5adSource(path, layer="X") as source:
        # Of a dense X that is an upper bound. Memory that nothing is written to is not taken.
        indices = np.empty(source.entries, dtype=dtype or smallest_dtype(source.shape[1]))
        data = np.empty(source.entries, dtype=np.float32)
        indptr, checksum, row = np.zeros(source.shape[0] + 1, dtype=np.int64), Checksum(), 0
        for chunk in checked_chunks(source, path, checksum):
            start, stop = indptr[row], indptr[row] + chunk.nnz
            indices[start:stop], data[start:stop] = chunk.indices, chunk.data
            indptr[row + 1 : row + 1 + chunk.shape[0]] = chunk.indptr[1:] + start
            row += chunk.shape[0]
        for array in (indices, data):
            array.resize(int(indptr[-1]), refcheck=False)
        return CompactRows(indptr, indices, data, source.shape, checksum.value)
