"""Fit a model on a curated file and a frozen split."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from lightning import Callback, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint

from perturbench_lamin.loading.curated import CuratedData, read_curated
from perturbench_lamin.loading.datamodule import PerturbationData
from perturbench_lamin.models.base import PerturbationModel
from perturbench_lamin.models.registry import build, hyperparameters, model_class
from perturbench_lamin.training.callbacks import (
    EpochSeed,
    FiniteLoss,
    LastCheckpoint,
    MetricHistory,
    PatientStopping,
)
from perturbench_lamin.training.checkpoint_io import PlainCheckpointIO
from perturbench_lamin.training.config import TrainConfig
from perturbench_lamin.training.run_folder import BEST, RunFolder
from perturbench_lamin.training.surroundings import quiet, reproducible, watched

CheckpointFactory = Callable[..., ModelCheckpoint]


@dataclass(frozen=True)
class FitResult:
    """What a training gave.

    Attributes:
        best_checkpoint: the checkpoint of the lowest ``val_loss``.
        last_checkpoint: the checkpoint of the last epoch.
        history: one row an epoch: epoch, lr, train_loss (gradient models), val_loss.
        stopped: ``max_epochs`` or ``early_stopping``.
        resumed_from: the epochs that an earlier, interrupted call had finished; 0 for a fresh training.
    """

    best_checkpoint: Path
    last_checkpoint: Path
    history: pd.DataFrame
    stopped: str
    resumed_from: int = 0


def fit(
    curated_path: str | Path,
    split: pd.Series,
    config: TrainConfig,
    out_dir: str | Path,
    *,
    callbacks: Sequence[Callback] = (),
    logger: Any = None,
    provenance: Mapping[str, str] | None = None,
    checkpoint_callback: CheckpointFactory = ModelCheckpoint,
    progress: bool | None = None,
) -> FitResult:
    """Train a model, or go on with a training that was interrupted.

    The same configuration, data and package version in ``out_dir`` resumes from ``last.ckpt``, to the same
    weights as without the interruption, or returns the result when it had finished. Anything else starts
    anew, after removing the earlier training's own files from the folder.

    Args:
        curated_path: a curated h5ad file.
        split: cell → "train", "val", "test" or "" (excluded).
        config: model, hyperparameters and training settings.
        out_dir: folder for ``best.ckpt``, ``last.ckpt``, ``history.csv``, ``training.json``, ``result.json``.
        callbacks: further Lightning callbacks.
        logger: a Lightning logger or several; none by default.
        provenance: what the data are, such as the uids and hashes of curated file and split; kept in the
            checkpoint.
        checkpoint_callback: makes the callback that keeps the best checkpoint. It is called with ``dirpath``,
            ``monitor``, ``mode``, ``save_top_k`` and ``enable_version_counter``; where its ``filename`` is
            None it becomes ``best``.
        progress: whether to show a progress bar; by default in terminals and notebooks.

    Raises:
        InputError: file, split and configuration do not fit each other.
        DivergenceError: a loss is NaN or infinite; checkpoints of earlier epochs stay.
    """
    parsed = hyperparameters(config.model, config.hyperparameters)  # a misspelling shows before the data are read
    words = {str(name): str(value) for name, value in (provenance or {}).items()}
    folder = RunFolder(Path(out_dir).absolute())
    data = read_curated(curated_path, embedding=getattr(parsed, "embedding", ""))
    batches = _batches(data, split, config)
    folder.open(_identity(data, split, config, words))
    if finished := folder.result():
        return FitResult(Path(finished["best_checkpoint"]), folder.last, folder.history(), finished["stopped"])
    with reproducible(config.seed), quiet():
        model = build(config.model, config.hyperparameters, batches.vocabulary)
        model.provenance = words
        own = _Callbacks.make(config, folder, checkpoint_callback)
        trainer = _trainer(model, config, folder, [*callbacks, *own.ordered()], logger, progress)
        start = folder.resumable()
        trainer.fit(model, batches, ckpt_path=start, weights_only=True)
    return _finish(folder, trainer, own)


@dataclass
class _Callbacks:
    """The callbacks of every training."""

    seed: EpochSeed
    finite: FiniteLoss
    history: MetricHistory
    stopping: PatientStopping
    best: ModelCheckpoint
    last: LastCheckpoint

    @classmethod
    def make(cls, config: TrainConfig, folder: RunFolder, factory: CheckpointFactory) -> _Callbacks:
        best = factory(
            dirpath=str(folder.path), monitor="val_loss", mode="min", save_top_k=1, enable_version_counter=False
        )
        if best.filename is None:
            best.filename = Path(BEST).stem
        return cls(
            EpochSeed(config.seed),
            FiniteLoss(folder.path),
            MetricHistory(),
            PatientStopping(config.patience),
            best,
            LastCheckpoint(folder.last),
        )

    def ordered(self) -> list[Callback]:
        return [self.seed, self.finite, self.history, self.stopping, self.best, self.last]


def _batches(data: CuratedData, split: pd.Series, config: TrainConfig) -> PerturbationData:
    kind = model_class(config.model)
    return PerturbationData(
        data,
        split,
        batch_size=config.batch_size,
        seed=config.seed,
        train_sampling=kind.train_sampling,
        val_sampling=kind.val_sampling,
    )


def _trainer(
    model: PerturbationModel,
    config: TrainConfig,
    folder: RunFolder,
    callbacks: list[Callback],
    logger: Any,
    progress: bool | None,
) -> Trainer:
    epochs = model.epochs or config.max_epochs
    return Trainer(
        accelerator=config.accelerator,
        devices=1,
        precision=config.precision,
        max_epochs=epochs,
        min_epochs=min(config.min_epochs, epochs),
        callbacks=callbacks,
        plugins=[PlainCheckpointIO()],
        logger=logger if logger is not None else False,
        log_every_n_steps=1,
        enable_progress_bar=watched() if progress is None else progress,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        deterministic=True,
        default_root_dir=str(folder.path),
    )


def _finish(folder: RunFolder, trainer: Trainer, own: _Callbacks) -> FitResult:
    history = pd.DataFrame(own.history.rows).astype({"epoch": "int64"})
    stopped = "early_stopping" if len(history) < trainer.max_epochs else "max_epochs"
    best = Path(own.best.best_model_path)
    folder.finish(history, best, stopped)
    return FitResult(best, folder.last, history, stopped, resumed_from=own.history.resumed_from)


def _identity(
    data: CuratedData, split: pd.Series, config: TrainConfig, provenance: Mapping[str, str]
) -> dict[str, Any]:
    """Plain values that differ when the training would: for the decision to resume."""
    labels = split.fillna("").astype(str)
    columns = data.obs[[data.info.keys.perturbation, *data.info.keys.covariates]].astype(str)
    embedding = {} if data.embedding is None else {"embedding": hashlib.sha256(data.embedding.tobytes()).hexdigest()}
    return embedding | {
        "config": config.to_dict(),
        "version": version("perturbench-lamin"),
        "provenance": dict(provenance),
        "split": _digest([*labels.index.astype(str), *labels]),
        "genes": _digest(data.genes),
        "cells": _digest([*data.obs.index.astype(str), *columns.to_numpy().ravel()]),
        "expression": [*data.X.shape, int(data.X.nnz), float(np.sum(data.X.data, dtype=np.float64))],
    }


def _digest(words: Sequence[str]) -> str:
    return hashlib.sha256(json.dumps(list(words)).encode()).hexdigest()
