"""Which memory a training uses again."""

from __future__ import annotations

import pytest
from lightning import Callback
from tiny_curated import Tiny, random_split, write

from perturbench_lamin.training.config import TrainConfig
from perturbench_lamin.training.fit import fit

DATA = Tiny().data()
SPLIT = random_split(DATA)


def _start(cells) -> int:
    """Where the memory begins that the cells are a part of."""
    return cells.untyped_storage().data_ptr()


class Addresses(Callback):
    """Where the batches' dense cells are."""

    def __init__(self) -> None:
        self.training, self.validation = [], []

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx) -> None:
        self.training.append((_start(batch.controls), _start(batch.target)))

    def on_validation_batch_end(self, trainer, pl_module, outputs, batch, batch_idx, *_) -> None:
        self.validation.append((_start(batch.controls), _start(batch.target)))


@pytest.mark.parametrize("memory", ["memory", "disk"])
def test_all_batches_of_a_training_lie_in_the_same_memory(tmp_path, memory):
    """Those of training and those of validation: one batch is in memory at a time."""
    seen = Addresses()
    config = TrainConfig("linear", max_epochs=2, batch_size=6, accelerator="cpu", memory=memory, prefetch=0)
    fit(write(DATA, tmp_path / "x.h5ad"), SPLIT, config, tmp_path / "run", callbacks=[seen])
    assert min(len(seen.training), len(seen.validation)) > 4
    assert len({address for pair in seen.training + seen.validation for address in pair}) == 1
