"""Chunks of a source, as the kernels want them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy import sparse
from tqdm import tqdm

from perturbench_lamin.curation.lanes import read_ahead
from perturbench_lamin.curation.source import CountSource
from perturbench_lamin.errors import InputError


@dataclass(frozen=True)
class Chunk:
    """Some neighbouring rows of a source.

    Attributes:
        first: the first row's number.
        indptr: int64 row pointers.
        indices: int32 gene numbers.
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


def count_chunks(source: CountSource, title: str, progress: bool) -> Iterator[Chunk]:
    """A source's chunks as int32 counts, once these have been checked."""
    chunks = (_as_int32(_chunk(first, rows)) for first, rows in source.row_chunks())
    return _reported(read_ahead(chunks), source, title, progress)


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
