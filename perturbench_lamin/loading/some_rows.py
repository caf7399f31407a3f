"""Some rows of a curated file, without reading the others into memory."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from scipy import sparse

from perturbench_lamin.curation.source_h5ad import H5adSource
from perturbench_lamin.loading.checked_chunks import require_expression


def read_some(
    path: str | Path, rows: np.ndarray, sample: Sequence[np.ndarray] = ()
) -> tuple[sparse.csr_matrix, list[np.ndarray]]:
    """The expression of some cells.

    Args:
        path: a curated h5ad file.
        rows: which cells, ascending, each once.
        sample: runs of cells whose stored values are wanted too.

    Returns:
        The whole file's cells × genes with all other rows empty, and each run's stored values.

    Raises:
        InputError: expression of the cells is NaN or infinite, or counts.
    """
    with H5adSource(path, layer="X") as source:
        parts = [source.read_rows(int(span[0]), int(span[-1]) + 1)[span - span[0]] for span in _spans(source, rows)]
        runs = [source.read_rows(int(run[0]), int(run[-1]) + 1).data for run in sample]
        shape = source.shape
    data = np.concatenate([part.data.astype(np.float32, copy=False) for part in parts])
    require_expression(data, path)
    lengths = np.zeros(shape[0] + 1, dtype=np.int64)
    lengths[rows + 1] = np.concatenate([np.diff(part.indptr) for part in parts])
    indices = np.concatenate([part.indices for part in parts])
    return sparse.csr_matrix((data, indices, np.cumsum(lengths)), shape=shape), runs


def _spans(source: H5adSource, rows: np.ndarray) -> list[np.ndarray]:
    """The rows in pieces that lie within one chunk of the file each: a chunk is read at most once."""
    step = source.default_rows()
    return np.split(rows, np.flatnonzero(np.diff(rows // step)) + 1)
