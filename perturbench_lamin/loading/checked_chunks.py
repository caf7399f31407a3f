"""The expression of a curated file piece by piece, each piece checked."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from scipy import sparse

from perturbench_lamin.curation.lanes import read_ahead
from perturbench_lamin.curation.source import CountSource
from perturbench_lamin.errors import InputError
from perturbench_lamin.loading.checksum import Checksum
from perturbench_lamin.storage.scale import ScaleWatch

CHUNK_ENTRIES = 1 << 19
"""How many stored values a chunk of rows aims at: small beside any dataset that fills memory, while the blocks of the
file that two chunks share, and that are therefore decompressed twice, stay few."""

BLOCK = 1 << 20
"""How many values are checked at once: the check of a block needs a byte a value."""


def checked_chunks(source: CountSource, where: object, checksum: Checksum) -> Iterator[sparse.csr_matrix]:
    """All rows in order, in chunks of float32; the next chunk is read while the caller works on this one.

    Args:
        source: cells × genes.
        where: where it came from, for error messages.
        checksum: takes in every chunk before the caller has it.

    Raises:
        InputError: values are NaN or infinite, or (seen at the end) no logarithms.
    """
    watch = ScaleWatch()
    cells = max(source.shape[0], 1)
    rows = max(1, min(cells, CHUNK_ENTRIES * cells // max(source.entries, 1)))
    for _, chunk in read_ahead(source.row_chunks(rows)):
        chunk.data = chunk.data.astype(np.float32, copy=False)
        require_finite(chunk.data, where)
        watch.see(chunk)
        checksum.add(chunk.indices, chunk.data)
        yield chunk
    watch.require_log1p(f"{where}, X")


def smallest_dtype(genes: int) -> type[np.integer]:
    """A dtype of gene numbers: two bytes each where that suffices."""
    return np.uint16 if genes <= 1 << 16 else np.int32


def require_expression(values: np.ndarray, source: object) -> None:
    """Check that values that are in memory are numbers, and logarithms.

    Raises:
        InputError: some are NaN or infinite, or they are counts.
    """
    require_finite(values, source)
    watch = ScaleWatch()
    watch.see(values)
    watch.require_log1p(f"{source}, X")


def require_finite(values: np.ndarray, source: object) -> None:
    """Check that expression values are numbers.

    Raises:
        InputError: some are NaN or infinite.
    """
    if not all(np.isfinite(values[start : start + BLOCK]).all() for start in range(0, len(values), BLOCK)):
        raise InputError("Expression has NaN or infinite values", where=f"{source}, X", fix="Curate the file again.")
