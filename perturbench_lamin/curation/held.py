"""Counts that stay in memory between passes, as far as they fit: two bytes a count and two a gene number."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from perturbench_lamin.curation.passes import Chunk
from perturbench_lamin.curation.source import CountSource

ENTRY_BYTES = 4
"""Of a count and its gene number."""

LARGEST = int(np.iinfo(np.uint16).max)
"""The largest count and gene number that can be held."""


class HeldCounts:
    """The first rows of a source, filled chunk by chunk during the first pass; the others are read again.

    Args:
        source: the counts.
        limit_mib: how much memory they may take.

    Attributes:
        rows: how many rows are held.
    """

    def __init__(self, source: CountSource, limit_mib: int) -> None:
        cells, genes = source.shape
        room = min(source.entries, (limit_mib << 20) // ENTRY_BYTES) if genes <= LARGEST else 0
        self._indices, self._counts = np.empty(room, np.uint16), np.empty(room, np.uint16)
        self._indptr = np.zeros(cells + 1, dtype=np.int64)
        self._open = True
        self.rows = 0

    def place(self, chunk: Chunk) -> tuple[np.ndarray, np.ndarray]:
        """Where the gene numbers and counts of the next chunk go; empty where it is not to be held."""
        start = int(self._indptr[self.rows])
        stop = start + len(chunk.indices)
        self._open &= stop <= len(self._indices)
        span = slice(start, stop) if self._open else slice(0, 0)
        return self._indices[span], self._counts[span]

    def keep(self, chunk: Chunk, fits: bool) -> None:
        """Take in the chunk whose place has been filled, unless it has counts that do not fit."""
        self._open &= fits
        if self._open:
            start = self._indptr[self.rows]
            self._indptr[self.rows : self.rows + chunk.rows + 1] = start + chunk.indptr
            self.rows += chunk.rows

    def chunks(self, n_rows: int) -> Iterator[Chunk]:
        """The rows held, ``n_rows`` at a time, sharing memory."""
        for first in range(0, self.rows, n_rows):
            stop = min(first + n_rows, self.rows)
            yield Chunk(first, self._indptr[first : stop + 1], self._indices, self._counts)
