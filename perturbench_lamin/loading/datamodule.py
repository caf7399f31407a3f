"""The Lightning data module: training and validation batches of a curated file and a split."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import pandas as pd
from lightning import LightningDataModule
from scipy import sparse

from perturbench_lamin.loading.batches import BatchLoader, Sampling, sampling
from perturbench_lamin.loading.compact_rows import CompactRows
from perturbench_lamin.loading.curated import CuratedData, split_labels
from perturbench_lamin.loading.dataset import SplitData
from perturbench_lamin.loading.device_rows import DeviceRows
from perturbench_lamin.loading.gather import Buffers
from perturbench_lamin.loading.packed_rows import PackedRows, worth_packing
from perturbench_lamin.loading.shares import Share
from perturbench_lamin.loading.vocabulary import Vocabulary


class PerturbationData(LightningDataModule):
    """Batches of a curated file for training, made in the training process itself.

    Args:
        data: the curated file, from :func:`~perturbench_lamin.loading.curated.read_curated`.
        split: cell → "train", "val", "test" or "" (excluded).
        batch_size: cells in a batch.
        seed: seed of the order of the cells and of the control draws.
        train_sampling: ``control_matched``, ``cell_sets``, ``disentanglement`` or ``grouped``.
        val_sampling: likewise, for validation.
        set_size: cells of a set at most, for ``cell_sets``.
        on_device: whether the expression goes to the device that trains, and batches are made there.
        prefetch: how many batches are made ahead, by as many threads.
        known_tokens: perturbations that the model knows although training cells may lack them.

    Raises:
        InputError: split and file disagree, training or validation cells lack, or validation cells have tokens
            or covariate values that training lacks.
    """

    def __init__(
        self,
        data: CuratedData,
        split: pd.Series,
        *,
        batch_size: int = 4000,
        seed: int = 0,
        train_sampling: str = "control_matched",
        val_sampling: str = "control_matched",
        set_size: int | None = None,
        on_device: bool = False,
        prefetch: int = 0,
        known_tokens: Iterable[str] = (),
    ) -> None:
        super().__init__()
        labels = split_labels(split, data)
        self.vocabulary = replace(
            Vocabulary.from_cells(data.obs[labels == "train"], data.genes, data.info), embeddings=data.embedding_widths
        )
        self.vocabulary = self.vocabulary.with_tokens(known_tokens)
        if not on_device and isinstance(data.X, sparse.csr_matrix | CompactRows) and worth_packing():
            data = replace(data, X=PackedRows.of(data.X))
        self.train = SplitData.build(data, labels, "train", self.vocabulary)
        self.val = SplitData.build(data, labels, "val", self.vocabulary)
        self.batch_size, self.seed = batch_size, seed
        self.on_device, self.prefetch = on_device, prefetch
        buffers = Buffers()
        self._train_sampling = sampling(train_sampling, self.train, buffers, set_size=set_size)
        self._val_sampling = sampling(val_sampling, self.val, buffers, set_size=set_size)

    def setup(self, stage: str) -> None:
        """Bring the expression to the trainer's device where that is asked for."""
        if not self.on_device or self.trainer is None or isinstance(self.train.X, DeviceRows):
            return
        X = DeviceRows.of(self.train.X, self.trainer.strategy.root_device)
        self.train, self.val = replace(self.train, X=X), replace(self.val, X=X)
        self._train_sampling = replace(self._train_sampling, data=self.train)
        self._val_sampling = replace(self._val_sampling, data=self.val)

    def train_dataloader(self) -> BatchLoader:
        """Every training target once an epoch, in a fresh order."""
        return self._loader(self._train_sampling, shuffle=True)

    def val_dataloader(self) -> BatchLoader:
        """Every validation target, each epoch with the same controls."""
        return self._loader(self._val_sampling, shuffle=False)

    def _loader(self, sampling: Sampling, *, shuffle: bool) -> BatchLoader:
        share = Share(self.trainer.global_rank, self.trainer.world_size) if self.trainer is not None else None
        return BatchLoader(
            sampling,
            batch_size=self.batch_size,
            seed=self.seed,
            shuffle=shuffle,
            prefetch=self.prefetch,
            share=share,
        )
