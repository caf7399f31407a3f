"""A CSC matrix in an HDF5 file, read by rows: its values are brought into bands of rows in a temporary file, once."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import h5py
import numpy as np
from scipy import sparse

from perturbench_lamin.errors import IntegrityError

BAND_ENTRIES = 1 << 22
"""How many values a band of rows aims at; one band is in memory at a time."""

SLICE_ENTRIES = 1 << 21
"""How many values are read from the file at once."""


class TransposedMatrix:
    """Rows of a CSC matrix of any size, with the memory of a band of rows and of one number a row.

    The temporary file (8 bytes a value, and the value) is made at the first read and gone when closed.

    Args:
        matrix: the matrix, encoded as anndata does.
        shape: (rows, columns).
        where: the file, for messages.
    """

    def __init__(self, matrix: h5py.Group, shape: tuple[int, int], where: Path) -> None:
        self._data, self._indices, self._where = matrix["data"], matrix["indices"], where
        self._column_ends = matrix["indptr"][:].astype(np.int64)
        self._shape = shape
        self._file: IO[bytes] | None = None
        self._record = np.dtype([("row", np.int32), ("column", np.int32), ("value", self._data.dtype)])
        self._kept: tuple[int, sparse.csr_matrix] | None = None
        ends = self._column_ends
        if len(ends) != shape[1] + 1 or (np.diff(ends) < 0).any() or ends[0] != 0 or ends[-1] != self._data.shape[0]:
            raise IntegrityError(f"The column pointers of {matrix.name} are inconsistent", where=where)

    def read(self, start: int, stop: int) -> sparse.csr_matrix:
        """Rows ``start`` to ``stop``, canonical."""
        if self._file is None:
            self._transpose()
        low, high = np.searchsorted(self._firsts, [start, max(stop - 1, start)], side="right") - 1
        parts = []
        for band in range(int(low), min(int(high) + 1, len(self._firsts) - 1)):
            first, last = int(self._firsts[band]), int(self._firsts[band + 1])
            parts.append(self._band(band)[max(start - first, 0) : min(stop, last) - first])
        return sparse.vstack(parts, format="csr") if len(parts) > 1 else parts[0]

    def close(self) -> None:
        """Remove the temporary file."""
        if self._file is not None:
            self._file.close()

    def _transpose(self) -> None:
        lengths = np.zeros(self._shape[0], dtype=np.int64)
        for _, rows in self._slices():
            lengths += np.bincount(self._checked(rows), minlength=len(lengths))
        ends = np.concatenate([[0], np.cumsum(lengths)])
        cuts = np.searchsorted(ends, np.arange(0, ends[-1], BAND_ENTRIES)[1:])
        self._firsts = np.unique(np.concatenate([[0], cuts, [len(lengths)]]))
        self._starts = ends[self._firsts]
        self._file = tempfile.TemporaryFile(prefix="transposed-")  # noqa: SIM115 (kept open until closed)
        self._fill(self._file)

    def _fill(self, file: IO[bytes]) -> None:
        band_of_row = np.repeat(np.arange(len(self._firsts) - 1, dtype=np.uint16), np.diff(self._firsts))
        at = self._starts[:-1].copy()
        for start, rows in self._slices():
            records = np.empty(len(rows), dtype=self._record)
            bands = band_of_row[rows]
            order = np.argsort(bands, kind="stable")
            columns = np.searchsorted(self._column_ends, np.arange(start, start + len(rows)), side="right") - 1
            values = self._data[start : start + len(rows)]
            for name, array in (("row", rows), ("column", columns), ("value", values)):
                records[name] = array[order]
            pieces = np.split(records, np.cumsum(np.bincount(bands, minlength=len(at)))[:-1])
            for band, piece in enumerate(pieces):
                file.seek(int(at[band]) * self._record.itemsize)
                file.write(piece.tobytes())
                at[band] += len(piece)

    def _band(self, band: int) -> sparse.csr_matrix:
        if self._kept is None or self._kept[0] != band:
            self._kept = None  # before the next one is made
            self._kept = band, self._read_band(band)
        return self._kept[1]

    def _read_band(self, band: int) -> sparse.csr_matrix:
        assert self._file is not None
        first, last = int(self._firsts[band]), int(self._firsts[band + 1])
        start, stop = int(self._starts[band]), int(self._starts[band + 1])
        self._file.seek(start * self._record.itemsize)
        records = np.frombuffer(self._file.read((stop - start) * self._record.itemsize), dtype=self._record)
        places = (records["row"] - first, records["column"])
        return sparse.coo_matrix((records["value"], places), shape=(last - first, self._shape[1])).tocsr()

    def _slices(self) -> Iterator[tuple[int, np.ndarray]]:
        for start in range(0, self._indices.shape[0], SLICE_ENTRIES):
            yield start, self._indices[start : start + SLICE_ENTRIES]

    def _checked(self, rows: np.ndarray) -> np.ndarray:
        if int(rows.min()) < 0 or int(rows.max()) >= self._shape[0]:
            raise IntegrityError(f"A cell number is outside 0 to {self._shape[0] - 1:,}", where=self._where)
        return rows
