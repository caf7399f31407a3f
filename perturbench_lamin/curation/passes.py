"""Chunks of a source, as the kernels want them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING

import numpy as np
from scipy import sparse
from tqdm import tqdm

from perturbench_lamin.curation.lanes import read_ahead
from perturbench_lamin.curation.source import CountSource
from perturbench_lamin.errors import InputError

if TYPE_CHECKING:
    from perturbench_lamin.curation.held import HeldCounts


@dataclass(frozen=True)
class Chunk:
    """Some neighbouring rows of a source.

    Attributes:
        first: the first row's number.
        indptr: int64 row pointers into the two below, not always from 0.
        indices: int32 or uint16 gene numbers.
        data: the values.
    """

    first: int
    indptr: np.ndarray
    indices: np.ndarray
    data: np.ndarray

    @property
    def rows(self) -> int:
        """How many."""
        return len(self.indptr) - 1

    @property
    def lengths(self) -> np.ndarray:
        """Stored values a row."""
        return np.diff(self.indptr)

    @property
    def span(self) -> slice:
        """The rows' numbers in the source."""
        return slice(self.first, self.first + self.rows)


def raw_chunks(source: CountSource, title: str, progress: bool) -> Iterator[Chunk]:
    """A source's chunks with their values as stored, read ahead of the caller."""
    return _reported(read_ahead(_chunk(first, rows) for first, rows in source.row_chunks()), source, title, progress)


def count_chunks(
    source: CountSource, title: str, progress: bool, held: HeldCounts | None = None, *, whole: bool = False
) -> Iterator[Chunk]:
    """A source's chunks as counts, once these have been checked: int32, or uint16 those that are held.

    Args:
        source: the counts.
        title: of the progress bar.
        progress: whether to show it.
        held: rows of the source that need not be read again.
        whole: give the rows held as one chunk: kernels that group rows are faster over many.
    """
    first = held.rows if held else 0
    step = first if whole else source.default_rows()
    ready = held.chunks(step) if held and first else iter(())
    read = (_as_int32(_chunk(first, rows)) for first, rows in source.row_chunks(first=first))
    return _reported(chain(ready, read_ahead(read)), source, title, progress)


def _chunk(first: int, rows: sparse.csr_matrix) -> Chunk:
    data = rows.data
    if data.dtype.kind not in "biuf":
        raise InputError(f"The matrix holds {data.dtype} values, not numbers", where="counts")
    if data.dtype.kind == "b" or data.dtype == np.float16:
        data = data.astype(np.float32)
    return Chunk(first, rows.indptr.astype(np.int64), rows.indices, data)


def _as_int32(chunk: Chunk) -> Chunk:
    return Chunk(chunk.first, chunk.indptr, chunk.indices, chunk.data.astype(np.int32, copy=False))


def _reported(chunks: Iterator[Chunk], source: CountSource, title: str, progress: bool) -> Iterator[Chunk]:
    with tqdm(total=source.shape[0], desc=title, unit=" cells", disable=not progress) as bar:
        for chunk in chunks:
            yield chunk
            bar.update(chunk.rows)
