"""Batches of the mean cells of each condition and covariate state, for models that see nothing else of a cell."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from perturbench_lamin.loading.cuts import Cut, even_cuts
from perturbench_lamin.loading.dataset import SplitData
from perturbench_lamin.loading.expression import grouped_rows
from perturbench_lamin.loading.moving import moved

WHOLE = slice(None)


@dataclass(frozen=True)
class GroupedBatch:
    """The cells of a batch, grouped by condition and covariate state.

    The mean squared error of a prediction that all cells of a group share is, with x the cells, m a group's
    mean and n its number of cells, (Σ n (prediction − m)² + Σ (x − m)²) / (cells × genes): exact, and a model
    computes each prediction once.

    Attributes:
        perturbations: multi-hot tokens (groups × tokens, float32).
        covariates: one-hot covariates side by side (groups × n_covariates, float32).
        condition_ids: ids in the vocabulary, -1 where training lacks the condition (groups, int64).
        state_ids: ids in the vocabulary, -1 where training lacks the state (groups, int64).
        counts: cells of each group (groups, float32).
        means: their mean expression (groups × genes, float32).
        scatter: Σ (x − m)² over all cells and genes (scalar, float64).
        cells: how many cells the batch has.
        weight: what its mean counts beside other processes', see
            :class:`~perturbench_lamin.loading.shares.Share`.
    """

    perturbations: Tensor
    covariates: Tensor
    condition_ids: Tensor
    state_ids: Tensor
    counts: Tensor
    means: Tensor
    scatter: Tensor
    cells: int
    weight: float = 1.0

    def __len__(self) -> int:
        return self.cells

    def to(self, device: Any, **options: Any) -> GroupedBatch:
        """The batch on another device."""
        return moved(self, device, **options)

    def squared_error(self, predicted: Tensor) -> Tensor:
        """The mean over cells and genes of (predicted − observed)²; a scalar.

        Args:
            predicted: each group's prediction (groups × genes).
        """
        squares = (predicted - self.means).square().sum(1)
        total = (squares * self.counts).sum() + self.scatter.to(squares.dtype)
        return total / (self.cells * self.means.shape[1])


@dataclass(frozen=True)
class Grouped:
    """The targets of control matching, in the same batches, grouped; no controls are drawn.

    Raises:
        InputError: as for control matching, so that all models train on the same splits.
    """

    data: SplitData

    def __post_init__(self) -> None:
        self.data.require_matched()

    def targets(self) -> np.ndarray:
        """Places of the target cells within the split."""
        return np.flatnonzero(~self.data.is_control)

    def cuts(self, order: np.ndarray, batch_size: int, rng: np.random.Generator | None) -> list[Cut]:
        """The batches of an epoch: ``batch_size`` cells in the given order; nothing is drawn."""
        return even_cuts(order, batch_size)

    def batch(self, cells: np.ndarray, rng: np.random.Generator, part: slice = WHOLE) -> GroupedBatch:
        """The batch of ``part`` of these cells; nothing is drawn."""
        cells = cells[part]
        data = self.data
        # By place, not by id in the vocabulary: ids of what training lacks are all -1.
        pairs = data.condition[cells] * len(data.states) + data.state[cells]
        distinct, groups, counts = np.unique(pairs, return_inverse=True, return_counts=True)
        means, scatter = grouped_rows(data.X, data.rows[cells], groups, len(distinct))
        return GroupedBatch(
            **data.codes(distinct // len(data.states), distinct % len(data.states)),
            counts=torch.from_numpy(counts.astype(np.float32)).to(means.device),
            means=means,
            scatter=scatter,
            cells=len(cells),
        )
