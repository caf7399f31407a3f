"""A matrix on disk that is read by rows, in any order, without holding more than the rows asked for."""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from scipy import sparse

from perturbench_lamin.curation.source_h5ad import H5adSource
from perturbench_lamin.errors import InputError
from perturbench_lamin.loading.checked_chunks import checked_chunks, smallest_dtype
from perturbench_lamin.loading.checksum import Checksum
from perturbench_lamin.loading.scratch import Scratch


class Rows(NamedTuple):
    """The parts of a CSR matrix."""

    indptr: np.ndarray
    indices: np.ndarray
    data: np.ndarray
    shape: tuple[int, int]


@dataclass(frozen=True)
class RowStore:
    """A CSR matrix in two files without compression: gene numbers and values; the row pointers are in memory.

    The blocks of a curated file are compressed for tens of cells at once, so that a batch of random cells would
    decompress the whole file. The files have no name.

    Attributes:
        indptr: row pointers (cells + 1).
        shape: cells × genes.
        checksum: of the contents, see :class:`Checksum`.
        indices: gene numbers.
        data: values.
    """

    indptr: np.ndarray
    shape: tuple[int, int]
    checksum: int
    indices: Scratch
    data: Scratch

    @property
    def nnz(self) -> int:
        """How many values are stored."""
        return int(self.indptr[-1])

    def read(self, rows: np.ndarray) -> tuple[Rows, np.ndarray]:
        """Rows from disk, each once, in the order of the file.

        Args:
            rows: row numbers, in any order, with repeats.

        Returns:
            The distinct rows, and where each of the given ones is among them.

        Raises:
            IndexError: a row number is out of range.
            OSError: the disk could not be read.
        """
        if len(rows) and not (rows.min() >= 0 and rows.max() < self.shape[0]):
            raise IndexError(f"Row numbers must lie in 0 … {self.shape[0] - 1}")
        distinct, place = np.unique(rows, return_inverse=True)
        starts = self.indptr[distinct]
        lengths = self.indptr[distinct + 1] - starts
        indptr = np.concatenate([[0], np.cumsum(lengths)])
        indices, data = self.indices.read(starts, lengths), self.data.read(starts, lengths)
        return Rows(indptr, indices, data, (len(distinct), self.shape[1])), place

    def __getitem__(self, rows: np.ndarray) -> sparse.csr_matrix:
        """Rows by numbers or by a mask, in memory."""
        wanted = np.flatnonzero(rows) if rows.dtype == bool else rows
        part, place = self.read(wanted)
        indices = part.indices.astype(np.int32, copy=False)
        return sparse.csr_matrix((part.data, indices, part.indptr), shape=part.shape)[place]


def unpack(path: str | Path, folder: str | Path | None = None) -> RowStore:
    """Bring the expression of a curated file into a :class:`RowStore`: one pass, in little memory.

    Args:
        path: a curated h5ad file; its ``X`` may be CSR, CSC or dense.
        folder: where the files without names go; by default where TMPDIR points.

    Raises:
        InputError: ``X`` has NaN or infinite values or counts, or the disk has too little room.
    """
    folder = Path(folder or tempfile.gettempdir())
    with H5adSource(path, layer="X") as source:
        dtype = np.dtype(smallest_dtype(source.shape[1]))
        _require_room(folder, source.entries * (dtype.itemsize + 4))
        indices, values = Scratch(folder, dtype), Scratch(folder, np.dtype(np.float32))
        checksum, lengths = Checksum(), [np.zeros(1, dtype=np.int64)]
        for chunk in checked_chunks(source, path, checksum):
            indices.append(chunk.indices)
            values.append(chunk.data)
            lengths.append(np.diff(chunk.indptr).astype(np.int64))
        return RowStore(np.cumsum(np.concatenate(lengths)), source.shape, checksum.value, indices, values)


def _require_room(folder: Path, needed: int) -> None:
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise InputError(
            f"Streaming from disk needs {needed / 2**30:.1f} GiB, there are {free / 2**30:.1f} GiB free",
            where=folder,
            fix="Make room there, or use a folder on a larger disk.",
        )
