"""Batches and how to sample them: perturbed cells with matched controls, one by one or in sets of a condition; all
cells by themselves; or group means."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np
from torch import Tensor

from perturbench_lamin.errors import InputError, nearest
from perturbench_lamin.loading.cuts import Cut, even_cuts, set_cuts
from perturbench_lamin.loading.dataset import SplitData
from perturbench_lamin.loading.expression import dense_rows
from perturbench_lamin.loading.gather import Buffers
from perturbench_lamin.loading.grouped import WHOLE, Grouped, GroupedBatch
from perturbench_lamin.loading.moving import moved
from perturbench_lamin.loading.prefetch import made_ahead
from perturbench_lamin.loading.shares import Share


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
        weight: what its mean counts beside other processes', see
            :class:`~perturbench_lamin.loading.shares.Share`.
        embeddings: of the same cells as ``controls``, in the same order (cells × width, float32); None unless the
            data were read with an embedding.
    """

    controls: Tensor
    perturbations: Tensor
    covariates: Tensor
    condition_ids: Tensor
    state_ids: Tensor
    expression: Tensor | None = None
    weight: float = 1.0
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
        return moved(self, device, **options)


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
        self.data.require_matched()

    def targets(self) -> np.ndarray:
        """Places of the target cells within the split."""
        return np.flatnonzero(~self.data.is_control)

    def cuts(self, order: np.ndarray, batch_size: int, rng: np.random.Generator | None) -> list[Cut]:
        """The batches of an epoch: ``batch_size`` cells in the given order; nothing is drawn."""
        return even_cuts(order, batch_size)

    def batch(self, cells: np.ndarray, rng: np.random.Generator, part: slice = WHOLE) -> Batch:
        """The batch of ``part`` of these cells, each with a control; ``rng`` draws for all of them."""
        drawn = self.data.controls.draw(self.data.state[cells], rng)[part]
        cells = cells[part]
        both = dense_rows(self.data.X, np.concatenate([drawn, self.data.rows[cells]]), self.buffers)
        controls, expression = _rows(both, 0, len(cells)), _rows(both, len(cells), len(both))
        return _batch(self.data, cells, controls, expression, self.data.embedded(drawn))


@dataclass(frozen=True)
class CellSets(ControlMatched):
    """Control matching in batches of whole sets, each of cells of the same perturbations and covariate state.

    For models of populations, which see a set at a time: in batches of any cells the sets would be small.

    Attributes:
        set_size: cells of a set at most.

    Raises:
        InputError: as for control matching, or sets of fewer than one cell are asked for.
    """

    set_size: int = 128

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.set_size < 1:
            raise InputError(f"set_size is {self.set_size}", where="sampling", fix="Give at least 1.")

    def cuts(self, order: np.ndarray, batch_size: int, rng: np.random.Generator | None) -> list[Cut]:
        """The batches of an epoch: whole sets, in a fresh order where ``rng`` is given."""
        data = self.data
        # By tokens: A+B and B+A are the same to a model.
        tokens = np.unique(data.perturbations, axis=0, return_inverse=True)[1].reshape(-1)
        groups = tokens[data.condition] * len(data.states) + data.state
        return set_cuts(order, groups, self.set_size, batch_size, rng)


@dataclass(frozen=True)
class Disentanglement:
    """All cells, controls among them with zeros for perturbations; the model's input is the cell itself."""

    data: SplitData
    buffers: Buffers = field(default_factory=Buffers, compare=False, repr=False)

    def targets(self) -> np.ndarray:
        """Places of the target cells within the split."""
        return np.arange(len(self.data))

    def cuts(self, order: np.ndarray, batch_size: int, rng: np.random.Generator | None) -> list[Cut]:
        """The batches of an epoch: ``batch_size`` cells in the given order; nothing is drawn."""
        return even_cuts(order, batch_size)

    def batch(self, cells: np.ndarray, rng: np.random.Generator, part: slice = WHOLE) -> Batch:
        """The batch of ``part`` of these cells; nothing is drawn."""
        rows = self.data.rows[cells[part]]
        expression = dense_rows(self.data.X, rows, self.buffers)
        return _batch(self.data, cells[part], expression, expression, self.data.embedded(rows))


Sampling = ControlMatched | Disentanglement | Grouped
SAMPLINGS: dict[str, type[ControlMatched] | type[Disentanglement] | type[Grouped]] = {
    "control_matched": ControlMatched,
    "cell_sets": CellSets,
    "disentanglement": Disentanglement,
    "grouped": Grouped,
}


def sampling(name: str, data: SplitData, buffers: Buffers | None = None, *, set_size: int | None = None) -> Sampling:
    """The way to sample of that name, over one split.

    Args:
        name: a key of :data:`SAMPLINGS`.
        data: the split.
        buffers: where batches take their memory from, to share it between splits; its own by default.
        set_size: cells of a set at most, for ``cell_sets``.

    Raises:
        InputError: the name is unknown.
    """
    if name not in SAMPLINGS:
        raise InputError(f"Unknown sampling {name!r}", where="sampling", fix=nearest(name, SAMPLINGS))
    made = SAMPLINGS[name](data)
    if isinstance(made, CellSets) and set_size is not None:
        made = replace(made, set_size=set_size)
    return made if buffers is None or isinstance(made, Grouped) else replace(made, buffers=buffers)


class BatchLoader:
    """Ready batches of one split, epoch after epoch.

    Each epoch visits every target once; the last batch may be small, down to one cell. Order and draws depend
    on (seed, epoch, batch) alone, so that a resumed training sees what an uninterrupted one saw, whatever makes
    the batches and however many processes share each of them.

    Args:
        sampling: which cells, with which inputs.
        batch_size: cells in a batch; at most so many where batches are of whole sets.
        seed: seed of the order and of the draws.
        shuffle: whether each epoch has its own order and draws. Without, each epoch is the same: the
            validation loss then compares epochs on the same pairs of cell and control.
        prefetch: how many batches are made ahead, by as many threads.
        share: which part of every batch this process takes.
    """

    batch_sampler = None  # Lightning asks every loader that has a sampler

    def __init__(
        self,
        sampling: Sampling,
        *,
        batch_size: int,
        seed: int,
        shuffle: bool,
        prefetch: int = 0,
        share: Share | None = None,
    ) -> None:
        if batch_size < 1:
            raise InputError(f"batch_size is {batch_size}", where="loader", fix="Give at least 1.")
        self.prefetch, self.share = prefetch, share or Share()
        self.sampling, self.batch_size, self.seed, self.shuffle = sampling, batch_size, seed, shuffle
        self.epoch = 0
        self._targets = sampling.targets()
        self._length = len(sampling.cuts(self._targets, batch_size, None))

    @property
    def sampler(self) -> BatchLoader:
        """Where Lightning looks for :meth:`set_epoch`."""
        return self

    def set_epoch(self, epoch: int) -> None:
        """Begin an epoch: called by Lightning, with the right number after a resume too."""
        self.epoch = epoch if self.shuffle else 0

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator[Batch | GroupedBatch]:
        epoch = self.epoch  # at the first batch: Lightning sets it after it has asked for the iterator
        order, rng = self._targets, None
        if self.shuffle:
            rng = np.random.default_rng([self.seed, epoch])
            order = rng.permutation(order)
        cuts = self.sampling.cuts(order, self.batch_size, rng)
        yield from made_ahead(partial(self._batch, cuts, epoch), len(cuts), self.prefetch)

    def _batch(self, cuts: list[Cut], epoch: int, number: int) -> Batch | GroupedBatch:
        part, weight = cuts[number].part(self.share)
        batch = self.sampling.batch(cuts[number].cells, np.random.default_rng([self.seed, epoch, number + 1]), part)
        return batch if weight == 1 else replace(batch, weight=weight)


def _rows(tensor: Tensor, start: int, stop: int) -> Tensor:
    """Some rows of a contiguous matrix, in its memory; unlike a slice, it does not hold the whole once emptied."""
    columns = tensor.shape[1]
    shape, strides = (stop - start, columns), (columns, 1)
    return tensor.new_empty(0).set_(tensor.untyped_storage(), tensor.storage_offset() + start * columns, shape, strides)


def _batch(
    data: SplitData, cells: np.ndarray, controls: Tensor, expression: Tensor, embeddings: Tensor | None
) -> Batch:
    codes = data.codes(data.condition[cells], data.state[cells])
    return Batch(controls=controls, expression=expression, embeddings=embeddings, **codes)
