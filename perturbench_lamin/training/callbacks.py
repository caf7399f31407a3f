"""What happens between the batches: seeds, a stop on NaN, the history, the checkpoint to resume from."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import Checkpoint, EarlyStopping

from perturbench_lamin.errors import PerturbenchError

METRICS = ("train_loss", "val_loss")


class DivergenceError(PerturbenchError):
    """A loss is NaN or infinite."""


class EpochSeed(Callback):
    """Seed torch at the start of each epoch by (seed, epoch): dropout is then the same after a resume.

    Of several processes each has its own dropout.
    """

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Seed torch."""
        words = [self.seed, trainer.current_epoch, *([trainer.global_rank] if trainer.world_size > 1 else [])]
        state = np.random.SeedSequence(words).generate_state(1, np.uint64)
        torch.manual_seed(int(state[0] >> np.uint64(1)))


class FiniteLoss(Callback):
    """Stop with an error at the first NaN or infinite loss, before it reaches a checkpoint."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Check the training loss."""
        loss = outputs.get("loss") if isinstance(outputs, dict) else outputs
        self._check(loss, trainer, f"training batch {batch_idx}")

    def on_validation_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int, *_: Any
    ) -> None:
        """Check the validation loss."""
        self._check(outputs, trainer, f"validation batch {batch_idx}")

    def _check(self, loss: torch.Tensor | None, trainer: Trainer, where: str) -> None:
        if loss is None or math.isfinite(value := float(loss)):
            return
        raise DivergenceError(
            f"The loss is {value}",
            where=f"epoch {trainer.current_epoch}, {where}",
            fix=f"Lower lr or raise the precision. Checkpoints in {self.folder} are of earlier, finite epochs.",
        )


class SpentBatches(Callback):
    """Empty each validation batch once it is used, so that the next one can have its memory.

    Lightning holds a batch until it has the next one. It must come after every callback that looks at batches.
    """

    def on_validation_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int, *_: Any
    ) -> None:
        """Empty the batch."""
        for value in vars(batch).values():
            if isinstance(value, torch.Tensor):
                value.set_()  # type: ignore[call-overload]


class MetricHistory(Callback):
    """One row an epoch: epoch, learning rate, losses. It is part of the checkpoint, so a resume goes on with it."""

    def __init__(self) -> None:
        self.rows: list[dict[str, float]] = []
        self.resumed_from = 0

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Add the epoch's row."""
        row: dict[str, float] = {"epoch": trainer.current_epoch, "lr": trainer.optimizers[0].param_groups[0]["lr"]}
        metrics = trainer.callback_metrics
        self.rows.append(row | {name: float(metrics[name]) for name in METRICS if name in metrics})

    def state_dict(self) -> dict[str, Any]:
        """The rows."""
        return {"rows": [dict(row) for row in self.rows]}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from a checkpoint's rows."""
        self.rows = [dict(row) for row in state_dict["rows"]]
        self.resumed_from = len(self.rows)


class PatientStopping(EarlyStopping):
    """Early stopping on ``val_loss`` that also holds when a training is resumed after its last epoch."""

    def __init__(self, patience: int) -> None:
        super().__init__(monitor="val_loss", mode="min", patience=patience, verbose=False)

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Stop at once when patience had run out before the resume."""
        if self.wait_count >= self.patience:
            trainer.should_stop = True


class LastCheckpoint(Checkpoint):
    """Save each epoch under one name. It must come after the checkpoint of the best, whose state it holds."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Save."""
        trainer.save_checkpoint(self.path)
