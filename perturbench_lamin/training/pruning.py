"""End a hopeless trial early, by its validation loss."""

from __future__ import annotations

from typing import Any

import optuna
from lightning import Callback, LightningModule, Trainer

from perturbench_lamin.errors import InputError, nearest

PRUNERS = ("median", "hyperband", "none")


class PruneTrial(Callback):
    """Report ``val_loss`` of each epoch to a trial, and end the training when the study's pruner says so.

    What was reported is part of the checkpoint: a training that is resumed under a new trial tells it the epochs
    that were done before.
    """

    def __init__(self, trial: optuna.Trial) -> None:
        self.trial = trial
        self.values: list[float] = []

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Report the epoch.

        Raises:
            optuna.TrialPruned: the trial is worse than others at this epoch.
        """
        loss = trainer.callback_metrics.get("val_loss")
        if loss is None:
            return
        self.values.append(float(loss))
        self.trial.report(self.values[-1], len(self.values) - 1)
        if self.trial.should_prune():
            raise optuna.TrialPruned

    def state_dict(self) -> dict[str, Any]:
        """What was reported."""
        return {"values": list(self.values)}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Report again what a resumed training had reported."""
        self.values = [float(value) for value in state_dict["values"]]
        for epoch, value in enumerate(self.values):
            self.trial.report(value, epoch)


def make_pruner(name: str, warmup_epochs: int, max_epochs: int) -> optuna.pruners.BasePruner:
    """A pruner by name.

    Args:
        name: ``median`` (worse than the median of the earlier trials at that epoch), ``hyperband`` or ``none``.
        warmup_epochs: epochs in which no trial is ended.
        max_epochs: epochs of a whole training.

    Raises:
        InputError: there is no such pruner.
    """
    if name not in PRUNERS:
        raise InputError(f"No pruner {name!r}", where="tune", fix=nearest(name, PRUNERS))
    if name == "median":
        return optuna.pruners.MedianPruner(n_startup_trials=5, n_warmup_steps=warmup_epochs)
    if name == "hyperband":
        return optuna.pruners.HyperbandPruner(min_resource=max(warmup_epochs, 1), max_resource=max_epochs)
    return optuna.pruners.NopPruner()
