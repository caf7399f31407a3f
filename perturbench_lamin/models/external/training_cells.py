"""The training cells of a fit, for what a model computes from them before the first step."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from perturbench_lamin.loading.batches import Batch, BatchLoader, sampling

BLOCK_CELLS = 2048
"""Cells that are dense in memory at a time."""


def training_cells(trainer: Any) -> Iterator[Batch]:
    """All training cells, controls among them, in the order of the file.

    Args:
        trainer: the Lightning trainer of a fit on a
            :class:`~perturbench_lamin.loading.datamodule.PerturbationData`.
    """
    cells = sampling("disentanglement", trainer.datamodule.train)
    for batch in BatchLoader(cells, batch_size=BLOCK_CELLS, seed=0, shuffle=False):
        assert isinstance(batch, Batch), "disentanglement gives cells one by one"
        yield batch
