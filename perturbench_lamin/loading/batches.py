"""Batches and the two ways to sample them: perturbed cells with matched controls, or all cells by themselves."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np
import torch
from torch import Tensor

from perturbench_lamin.errors import InputError, nearest
from perturbench_lamin.loading.dataset import SplitData
from perturbench_lamin.loading.gather import Buffers, gather_rows


@dataclass(frozen=True)
class Batch:
    """What a model sees.

    Attributes:
        controls: the input cells (cells × genes, float32, log1p): matched controls, or the cells themselves
            under disentanglement.
        perturbations: multi-hot tokens (cells × tokens, float32).
        covariates: one-hot covariates side by side (cells × n_covariates, float32).
        condition_ids: ids in the vocabulary, -1 where training lacks the condition (cells, int64).
        state_ids: ids in the vocabulary, -1 where training lacks the state (cells, int64).
        expression: the observed cells to predict (cells × genes, float32); None in counterfactual batches.
        embeddings: of the same cells as ``controls``, in the same order (cells × width, float32); None unless the
            data were read with an embedding.
    """

    controls: Tensor
    perturbations: Tensor
    covariates: Tensor
    condition_ids: Tensor
    state_ids: Tensor
    expression: Tensor | None = None
    embeddings: Tensor | None = None

    def __len__(self) -> int:
        return len(self.controls)

    @property
    def target(self) -> Tensor:
        """The observed cells.

        Raises:
            ValueError: a counterfactual batch has none.
        """
        if self.expression is None:
            raise ValueError("A counterfactual batch has no observed cells")
        return self.expression

    def to(self, device: Any, **options: Any) -> Batch:
        """The batch on another device."""
        moved: dict[int, Tensor] = {}  # under disentanglement two fields are one tensor: move it once
        values: dict[str, Tensor | None] = {}
        for item in fields(self):
            tensor = getattr(self, item.name)
            if tensor is not None and id(tensor) not in moved:
                moved[id(tensor)] = tensor.to(device, **options)
            values[item.name] = None if tensor is None else moved[id(tensor)]
        return Batch(**values)  # type: ignore[arg-type]


@dataclass(frozen=True)
class ControlMatched:
    """Perturbed cells as targets; each draws one control of its own split and covariate state.

    The draw is uniform, with replacement, fresh for each epoch, and depends on (seed, epoch, batch) alone.

    Raises:
        InputError: the split has no perturbed cells, or a state with perturbed cells has no controls.
    """

    data: SplitData
    buffers: Buffers = field(default_factory=Buffers, compare=False, repr=False)

    def __post_init__(self) -> None:
        self.data.require_controls()
        if self.data.is_control.all():
            raise InputError("No perturbed cells", where=f"{self.data.name} cells", fix="Use a split with some.")

    def targets(self) -> np.ndarray:
        """Places of the target cells within the split."""
        return np.flatnonzero(~self.data.is_control)

    def batch(self, cells: np.ndarray, rng: np.random.Generator) -> Batch:
        """The batch of these cells, each with a control drawn by ``rng``."""
        drawn = self.data.controls.draw(self.data.state[cells], rng)
        controls = _gather(self.data, drawn, self.buffers)
        expression = _gather(self.data, self.data.rows[cells], self.buffers)
        return _batch(self.data, cells, controls, expression, self.data.embedded(drawn))


@dataclass(frozen=True)
class Disentanglement:
    """All cells, controls among them with zeros for perturbations; the model's input is the cell itself."""

    data: SplitData
    buffers: Buffers = field(default_factory=Buffers, compare=False, repr=False)

    def targets(self) -> np.ndarray:
        """Places of the target cells within the split."""
        return np.arange(len(self.data))

    def batch(self, cells: np.ndarray, rng: np.random.Generator) -> Batch:
        """The batch of these cells; nothing is drawn."""
        expression = _gather(self.data, self.data.rows[cells], self.buffers)
        return _batch(self.data, cells, expression, expression, self.data.embedded(self.data.rows[cells]))


Sampling = ControlMatched | Disentanglement
SAMPLINGS: dict[str, type[ControlMatched] | type[Disentanglement]] = {
    "control_matched": ControlMatched,
    "disentanglement": Disentanglement,
}


def sampling(name: str, data: SplitData) -> Sampling:
    """The way to sample of that name, over one split.

    Raises:
        InputError: the name is unknown.
    """
    if name not in SAMPLINGS:
        raise InputError(f"Unknown sampling {name!r}", where="sampling", fix=nearest(name, SAMPLINGS))
    return SAMPLINGS[name](data)


class BatchLoader:
    """Ready batches of one split, epoch after epoch.

    Each epoch visits every target once; the last batch may be small, down to one cell. Order and draws depend
    on (seed, epoch, batch) alone, so that a resumed training sees what an uninterrupted one saw.

    Args:
        sampling: which cells, with which inputs.
        batch_size: cells in a batch.
        seed: seed of the order and of the draws.
        shuffle: whether each epoch has its own order and draws. Without, each epoch is the same: the
            validation loss then compares epochs on the same pairs of cell and control.
    """

    batch_sampler = None  # Lightning asks every loader that has a sampler

    def __init__(self, sampling: Sampling, *, batch_size: int, seed: int, shuffle: bool) -> None:
        if batch_size < 1:
            raise InputError(f"batch_size is {batch_size}", where="loader", fix="Give at least 1.")
        self.sampling, self.batch_size, self.seed, self.shuffle = sampling, batch_size, seed, shuffle
        self.epoch = 0
        self._targets = sampling.targets()

    @property
    def sampler(self) -> BatchLoader:
        """Where Lightning looks for :meth:`set_epoch`."""
        return self

    def set_epoch(self, epoch: int) -> None:
        """Begin an epoch: called by Lightning, with the right number after a resume too."""
        self.epoch = epoch if self.shuffle else 0

    def __len__(self) -> int:
        return -(-len(self._targets) // self.batch_size)

    def __iter__(self) -> Iterator[Batch]:
        epoch = self.epoch
        order = self._targets
        if self.shuffle:
            order = np.random.default_rng([self.seed, epoch]).permutation(order)
        for number in range(len(self)):
            cells = order[number * self.batch_size : (number + 1) * self.batch_size]
            yield self.sampling.batch(cells, np.random.default_rng([self.seed, epoch, number + 1]))


def _gather(data: SplitData, rows: np.ndarray, buffers: Buffers) -> Tensor:
    return torch.from_numpy(gather_rows(data.X, rows, buffers=buffers))


def _batch(
    data: SplitData, cells: np.ndarray, controls: Tensor, expression: Tensor, embeddings: Tensor | None
) -> Batch:
    condition, state = data.condition[cells], data.state[cells]
    return Batch(
        controls=controls,
        perturbations=torch.from_numpy(data.perturbations[condition]),
        covariates=torch.from_numpy(data.covariates[state]),
        condition_ids=torch.from_numpy(data.condition_ids[condition]),
        state_ids=torch.from_numpy(data.state_ids[state]),
        expression=expression,
        embeddings=embeddings,
    )
