"""The Lightning data module: training and validation batches of a curated file and a split."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd
from lightning import LightningDataModule

from perturbench_lamin.loading.batches import BatchLoader, sampling
from perturbench_lamin.loading.curated import CuratedData, split_labels
from perturbench_lamin.loading.dataset import SplitData
from perturbench_lamin.loading.vocabulary import Vocabulary


class PerturbationData(LightningDataModule):
    """Batches of a curated file for training, made in the training process itself.

    Args:
        data: the curated file, from :func:`~perturbench_lamin.loading.curated.read_curated`.
        split: cell → "train", "val", "test" or "" (excluded).
        batch_size: cells in a batch.
        seed: seed of the order of the cells and of the control draws.
        train_sampling: ``control_matched`` or ``disentanglement``.
        val_sampling: likewise, for validation.

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
    ) -> None:
        super().__init__()
        labels = split_labels(split, data)
        self.vocabulary = replace(
            Vocabulary.from_cells(data.obs[labels == "train"], data.genes, data.info), embeddings=data.embedding_widths
        )
        self.train = SplitData.build(data, labels, "train", self.vocabulary)
        self.val = SplitData.build(data, labels, "val", self.vocabulary)
        self.batch_size, self.seed = batch_size, seed
        self._train_sampling = sampling(train_sampling, self.train)
        self._val_sampling = sampling(val_sampling, self.val)

    def train_dataloader(self) -> BatchLoader:
        """Every training target once an epoch, in a fresh order."""
        return BatchLoader(self._train_sampling, batch_size=self.batch_size, seed=self.seed, shuffle=True)

    def val_dataloader(self) -> BatchLoader:
        """Every validation target, each epoch with the same controls."""
        return BatchLoader(self._val_sampling, batch_size=self.batch_size, seed=self.seed, shuffle=False)
