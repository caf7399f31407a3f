"""A source's rows in another order, read once from front to back whatever that order is."""

from __future__ import annotations

import tempfile
from typing import IO

import numpy as np
from scipy import sparse

from perturbench_lamin.curation.source import CountSource
from perturbench_lamin.curation.source_views import READ_GAP
from perturbench_lamin.storage.matrix import canonical

IN_ORDER = 0.98
"""Share of rows that must follow closely on the row before, so that rows are read where they are."""


def in_order(source: CountSource, rows: np.ndarray) -> CountSource:
    """The given rows of a source, in that order.

    Rows that are nearly in the source's own order are read where they are. Else reading them one by one would
    decompress each block of the file many times: they are brought into order in a temporary file first.
    """
    steps = np.diff(rows)
    if len(steps) == 0 or ((steps >= 1) & (steps <= READ_GAP)).mean() >= IN_ORDER:
        return source if _is_all(rows, source.shape[0]) else source.select_cells(rows)
    return ReorderedRows(source, rows)


def _is_all(rows: np.ndarray, length: int) -> bool:
    return len(rows) == length and bool((rows == np.arange(length)).all())


class ReorderedRows(CountSource):
    """Rows of a source in any order, by way of a temporary file in the folder that TMPDIR names.

    The file takes 8 bytes and the value for each stored value, and is gone when closed. In memory are one chunk of
    the source, one band of the result, and a few numbers for each pair of them.

    Args:
        base: the source.
        rows: row numbers, each at most once.
    """

    def __init__(self, base: CountSource, rows: np.ndarray) -> None:
        self.obs_names, self.var_names = base.obs_names[rows], base.var_names
        self.entries = int(base.entries * len(rows) / max(base.shape[0], 1))
        self._base, self._band_rows = base, self.default_rows()
        self._place = np.full(base.shape[0], -1, dtype=np.int64)
        self._place[rows] = np.arange(len(rows))
        self._segments: list[list[tuple[int, int]]] = [[] for _ in range(-(-len(rows) // self._band_rows))]
        self._file: IO[bytes] | None = None
        self._record = np.dtype([("row", np.int32), ("column", np.int32), ("value", base.read_rows(0, 1).dtype)])
        self._kept: tuple[int, sparse.csr_matrix] | None = None

    def read_rows(self, start: int, stop: int) -> sparse.csr_matrix:
        """The rows, from one band or from several."""
        if self._file is None:
            self._fill()
        size = self._band_rows
        parts = [
            self._band(band)[max(start - band * size, 0) : min(stop - band * size, size)]
            for band in range(start // size, -(-stop // size))
        ]
        if not parts:
            return self._base.read_rows(0, 0)
        return parts[0] if len(parts) == 1 else canonical(sparse.vstack(parts, format="csr"))

    def close(self) -> None:
        """Remove the temporary file."""
        if self._file is not None:
            self._file.close()

    def _fill(self) -> None:
        self._file = tempfile.TemporaryFile(prefix="reordered-")  # noqa: SIM115 (kept open until closed)
        for start, chunk in self._base.row_chunks():
            places = np.repeat(self._place[start : start + chunk.shape[0]], np.diff(chunk.indptr))
            wanted = np.flatnonzero(places >= 0)
            bands = (places[wanted] // self._band_rows).astype(np.int32)
            order = np.argsort(bands, kind="stable")
            chosen = wanted[order]
            records = np.empty(len(chosen), dtype=self._record)
            fields = (places[chosen] % self._band_rows, chunk.indices[chosen], chunk.data[chosen])
            for name, values in zip(self._record.names or (), fields, strict=True):
                records[name] = values
            self._append(records, np.bincount(bands, minlength=len(self._segments)))

    def _append(self, records: np.ndarray, lengths: np.ndarray) -> None:
        assert self._file is not None
        at = self._file.tell()
        self._file.write(records.tobytes())
        for band in np.flatnonzero(lengths):
            self._segments[band].append((at, int(lengths[band])))
            at += int(lengths[band]) * self._record.itemsize

    def _band(self, band: int) -> sparse.csr_matrix:
        if self._kept is None or self._kept[0] != band:
            self._kept = None  # before the next one is made
            self._kept = band, self._read_band(band)
        return self._kept[1]

    def _read_band(self, band: int) -> sparse.csr_matrix:
        assert self._file is not None
        pieces = [np.zeros(0, dtype=self._record)]
        for at, length in self._segments[band]:
            self._file.seek(at)
            pieces.append(np.frombuffer(self._file.read(length * self._record.itemsize), dtype=self._record))
        records = np.concatenate(pieces)
        rows = min(self._band_rows, self.shape[0] - band * self._band_rows)
        return sparse.coo_matrix(
            (records["value"], (records["row"], records["column"])), shape=(rows, self.shape[1])
        ).tocsr()
