"""A whole dataset on the device that computes, batches gathered there."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from perturbench_lamin.loading.gather import Csr


@dataclass(frozen=True)
class DeviceRows:
    """A canonical CSR matrix as tensors of one device.

    Attributes:
        indptr: row pointers (cells + 1, int64).
        indices: gene numbers (entries, int32).
        data: values (entries, float32).
        shape: cells × genes.
    """

    indptr: Tensor
    indices: Tensor
    data: Tensor
    shape: tuple[int, int]

    @classmethod
    def of(cls, matrix: Csr, device: torch.device | str) -> DeviceRows:
        """A matrix brought to a device; on the CPU it shares memory where the types agree."""
        parts = matrix.indptr.astype(np.int64, copy=False), matrix.indices.astype(np.int32, copy=False), matrix.data
        indptr, indices, data = (torch.from_numpy(part).to(device) for part in parts)
        return cls(indptr, indices, data, (int(matrix.shape[0]), int(matrix.shape[1])))

    @property
    def device(self) -> torch.device:
        """Where the tensors are."""
        return self.data.device

    def dense(self, rows: np.ndarray) -> Tensor:
        """The given rows, in any order, with repeats (rows × genes)."""
        place, entries = self._entries(rows)
        dense = self.data.new_zeros(len(rows) * self.shape[1])
        with _in_any_order():
            dense[place * self.shape[1] + self.indices[entries]] = self.data[entries]
        return dense.view(len(rows), self.shape[1])

    def group_means(self, rows: np.ndarray, groups: np.ndarray, n_groups: int) -> tuple[Tensor, Tensor]:
        """The same as :func:`~perturbench_lamin.loading.gather.group_means`, the scatter as a scalar tensor."""
        place, entries = self._entries(rows)
        group = torch.from_numpy(groups).to(self.device)
        values = self.data[entries].double()
        total = values.new_zeros(n_groups * self.shape[1])
        total.index_add_(0, group[place] * self.shape[1] + self.indices[entries], values)
        total = total.view(n_groups, self.shape[1])
        means = total / torch.bincount(group, minlength=n_groups)[:, None]
        return means.float(), values.square().sum() - (total * means).sum()

    def _entries(self, rows: np.ndarray) -> tuple[Tensor, Tensor]:
        """For each entry of the rows, which of the given rows it belongs to, and where it is stored."""
        if len(rows) and not (rows.min() >= 0 and rows.max() < self.shape[0]):
            raise IndexError(f"Row numbers must lie in 0 … {self.shape[0] - 1}")
        wanted = torch.from_numpy(np.ascontiguousarray(rows, dtype=np.int64)).to(self.device)
        starts = self.indptr[wanted]
        lengths = self.indptr[wanted + 1] - starts
        place = torch.repeat_interleave(torch.arange(len(rows), device=self.device), lengths)
        before = torch.cumsum(lengths, 0) - lengths
        entries = torch.arange(len(place), device=self.device) + (starts - before)[place]
        return place, entries


@contextmanager
def _in_any_order() -> Iterator[None]:
    """Let values be written in any order: each place is written once, so that the result is the same.

    With deterministic algorithms torch would sort the places first.
    """
    before = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    torch.use_deterministic_algorithms(False)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before[0], warn_only=before[1])
