"""A CSC matrix in an HDF5 file, read by rows: its values are brought into bands of rows in a temporary file, once."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from typing import IO

import numpy as np
from scipy import sparse

from perturbench_lamin.storage.matrix import StoredMatrix

BAND_ENTRIES = 1 << 22
"""How many values a band of rows aims at; one band is in memory at a time."""

SLICE_ENTRIES = 1 << 21
"""How many values are read from the file at once."""


class TransposedMatrix:
    """Rows of a CSC matrix of any size, with the memory of a band of rows and of one number a row.

    The temporary file (8 bytes a value, and the value) is made at the first read and gone when closed.

    Args:
        matrix: the matrix, stored by column; its pointers have been checked, its row numbers are checked here.
    """

    def __init__(self, matrix: StoredMatrix) -> None:
        self._matrix, self._data = matrix, matrix.data
        self._column_ends, self._shape = matrix.indptr, matrix.shape
        self._file: IO[bytes] | None = None
        self._record = np.dtype([("row", np.int32), ("column", np.int32), ("value", self._data.dtype)])
        self._kept: tuple[int, sparse.csr_matrix] | None = None

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
            lengths += np.bincount(rows, minlength=len(lengths))
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
        for start in range(0, self._matrix.entries, SLICE_ENTRIES):
            yield start, self._matrix.numbers(start, min(start + SLICE_ENTRIES, self._matrix.entries))
