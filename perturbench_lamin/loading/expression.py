"""Expression wherever it is held: in memory, on disk, or on the device that computes."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from scipy import sparse
from torch import Tensor

from perturbench_lamin.loading.compact_rows import CompactRows
from perturbench_lamin.loading.device_rows import DeviceRows
from perturbench_lamin.loading.gather import Buffers, gather_rows, group_means
from perturbench_lamin.loading.packed_rows import PackedRows
from perturbench_lamin.loading.row_store import RowStore

Expression = sparse.csr_matrix | CompactRows | PackedRows | RowStore | DeviceRows
"""Cells × genes, canonical CSR of float32, or the same in fewer bytes."""


def device_of(X: Any) -> torch.device:
    """Where the batches of this expression are made."""
    return X.device if isinstance(X, DeviceRows) else torch.device("cpu")


def dense_rows(X: Any, rows: np.ndarray, buffers: Buffers | None = None) -> Tensor:
    """The given rows, in any order, with repeats (rows × genes, float32): the same bits wherever they are held."""
    if isinstance(X, DeviceRows):
        return X.dense(rows)
    if isinstance(X, RowStore):
        X, rows = X.read(rows)
    return torch.from_numpy(gather_rows(X, rows, buffers=buffers))


def grouped_rows(X: Any, rows: np.ndarray, groups: np.ndarray, n_groups: int) -> tuple[Tensor, Tensor]:
    """Means of groups of rows (groups × genes, float32) and their scatter (scalar, float64).

    See :func:`~perturbench_lamin.loading.gather.group_means`.
    """
    if isinstance(X, DeviceRows):
        return X.group_means(rows, groups, n_groups)
    if isinstance(X, RowStore):
        X, rows = X.read(rows)
    means, scatter = group_means(X, rows, groups, n_groups)
    return torch.from_numpy(means), torch.tensor(scatter, dtype=torch.float64)
