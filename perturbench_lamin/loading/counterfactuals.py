"""Batches that ask a model: what would these control cells look like under that condition?"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch

from perturbench_lamin.errors import InputError
from perturbench_lamin.loading.batches import Batch
from perturbench_lamin.loading.dataset import SplitData
from perturbench_lamin.loading.expression import dense_rows
from perturbench_lamin.loading.vocabulary import State


@dataclass(frozen=True)
class Group:
    """One (covariate state, condition) of the evaluated split and the control cells that stand for it.

    Attributes:
        condition: the condition.
        state: the covariate state.
        rows: rows of the expression matrix (controls).
        condition_place: place in the split's ``conditions``.
        state_place: place in the split's ``states``.
    """

    condition: str
    state: State
    rows: np.ndarray
    condition_place: int
    state_place: int

    def __len__(self) -> int:
        return len(self.rows)


@dataclass(frozen=True)
class Counterfactuals:
    """Every (state, condition) of a split, with up to ``max_control_cells`` true controls of split and state.

    The same controls serve all conditions of a state. The choice is uniform, without replacement, and depends
    on the seed, the state's name and its controls alone, not on which other states there are.

    Attributes:
        data: the evaluated split.
        max_control_cells: controls for each state at most.
        seed: seed of the choice.
        batch_size: cells in a batch at most.
        include_control: whether the control condition is asked for too.
    """

    data: SplitData
    max_control_cells: int = 1000
    seed: int = 0
    batch_size: int = 4000
    include_control: bool = False

    def __post_init__(self) -> None:
        self.data.require_controls()
        for name in ("max_control_cells", "batch_size"):
            if getattr(self, name) < 1:
                raise InputError(f"{name} is {getattr(self, name)}", where="prediction", fix="Give at least 1.")
        if self.data.is_control.all() and not self.include_control:
            raise InputError(
                "There are no perturbed cells to predict", where=f"{self.data.name} cells", fix="Name another split."
            )

    def groups(self) -> list[Group]:
        """The groups, sorted by state, then condition."""
        data = self.data
        asked = np.ones(len(data), dtype=bool) if self.include_control else ~data.is_control
        pairs = np.unique(np.stack([data.state[asked], data.condition[asked]], axis=1), axis=0)
        chosen = {state: self._chosen(state) for state in np.unique(pairs[:, 0])}
        return [
            Group(data.conditions[condition], data.states[state], chosen[state], int(condition), int(state))
            for state, condition in pairs
        ]

    def batches(self, group: Group) -> Iterator[Batch]:
        """The group's cells as batches without observed cells, in the order of ``group.rows``."""
        for start in range(0, len(group), self.batch_size):
            rows = group.rows[start : start + self.batch_size]
            yield self._batch(group, rows)

    def _chosen(self, state: int) -> np.ndarray:
        rows = self.data.controls.of(state)
        if len(rows) <= self.max_control_cells:
            return rows
        name = zlib.crc32("\x1f".join(self.data.states[state]).encode())
        rng = np.random.default_rng([self.seed, name])
        return np.sort(rng.choice(rows, size=self.max_control_cells, replace=False))

    def _batch(self, group: Group, rows: np.ndarray) -> Batch:
        data, n = self.data, len(rows)
        return Batch(
            controls=dense_rows(data.X, rows),
            perturbations=torch.from_numpy(data.perturbations[[group.condition_place]]).repeat(n, 1),
            covariates=torch.from_numpy(data.covariates[[group.state_place]]).repeat(n, 1),
            condition_ids=torch.full((n,), int(data.condition_ids[group.condition_place])),
            state_ids=torch.full((n,), int(data.state_ids[group.state_place])),
            embeddings=data.embedded(rows),
        )
