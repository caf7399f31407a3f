"""The Lightning trainer of a training, and the callbacks that every training has."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lightning import Callback, Trainer
from lightning.fabric.plugins.environments import LightningEnvironment
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.callbacks import ModelCheckpoint

from perturbench_lamin.errors import InputError
from perturbench_lamin.models.base import PerturbationModel
from perturbench_lamin.training.callbacks import (
    EpochSeed,
    FiniteLoss,
    LastCheckpoint,
    MetricHistory,
    PatientStopping,
    SpentBatches,
)
from perturbench_lamin.training.checkpoint_io import PlainCheckpointIO
from perturbench_lamin.training.config import TrainConfig
from perturbench_lamin.training.precision import DoubleBatches
from perturbench_lamin.training.run_folder import BEST, RunFolder

CheckpointFactory = Callable[..., ModelCheckpoint]


@dataclass
class Callbacks:
    """The callbacks of every training."""

    seed: EpochSeed
    finite: FiniteLoss
    history: MetricHistory
    stopping: PatientStopping
    best: ModelCheckpoint
    last: LastCheckpoint
    spent: SpentBatches

    @classmethod
    def make(cls, config: TrainConfig, folder: RunFolder, factory: CheckpointFactory) -> Callbacks:
        """The callbacks of one training; ``factory`` makes the one that keeps the best checkpoint."""
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
            SpentBatches(),
        )

    def ordered(self) -> list[Callback]:
        """In the order in which they must be called."""
        return [self.seed, self.finite, self.history, self.stopping, self.best, self.last, self.spent]


def trainer_of(
    model: PerturbationModel,
    config: TrainConfig,
    folder: RunFolder,
    callbacks: list[Callback],
    logger: Any,
    progress: bool,
) -> Trainer:
    """The Lightning trainer of one training.

    Raises:
        InputError: Lightning does not take the settings, such as a strategy that it does not know.
    """
    epochs = model.epochs or config.max_epochs
    double = config.precision == "64-true"
    several = {"devices": config.devices, "num_nodes": config.num_nodes, "strategy": config.strategy}
    with _refusal_explained():
        return Trainer(
            accelerator=config.accelerator,
            **(several if model.epochs is None else {"devices": 1}),
            use_distributed_sampler=False,  # each process takes its own part of every batch
            precision=None if double else config.precision,
            max_epochs=epochs,
            min_epochs=min(config.min_epochs, epochs),
            callbacks=callbacks,
            plugins=[PlainCheckpointIO(), *([DoubleBatches()] if double else []), *_surroundings(config)],
            logger=logger if logger is not None else False,
            log_every_n_steps=1,
            enable_progress_bar=progress,
            enable_model_summary=False,
            num_sanity_val_steps=0,
            deterministic=True,
            default_root_dir=str(folder.path),
        )


def _surroundings(config: TrainConfig) -> list[LightningEnvironment]:
    """What tells the processes of one training of each other, where there is one alone; else Lightning finds it.

    In a batch job of Slurm that has several tasks Lightning would take a process for one of them.
    """
    tasks = int(os.environ.get("SLURM_STEP_NUM_TASKS", "1"))  # set by srun alone
    return [LightningEnvironment()] if config.devices == config.num_nodes == tasks == 1 else []


@contextmanager
def _refusal_explained() -> Iterator[None]:
    """What Lightning says of settings that it refuses, without a traceback."""
    try:
        yield
    except (ValueError, RuntimeError, MisconfigurationException) as error:  # RuntimeError: of Slurm's variables
        raise InputError(
            str(error).splitlines()[0], where="config", fix="Change accelerator, devices, num_nodes or strategy."
        ) from error
