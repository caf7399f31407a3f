"""The package's models trained without Lightning: their own ``training_step``, and nothing around it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from perturbench_lamin.models.base import PerturbationModel


class BareLoop:
    """Steps of a model on batches, with its optimisers, without a trainer.

    Args:
        model: the model; its losses are not logged.
        epoch: the number of the epoch, which some models ask for.
        token_cells: training cells with each token; SAMS-VAE needs it.
    """

    def __init__(self, model: PerturbationModel, epoch: int = 0, token_cells: np.ndarray | None = None) -> None:
        self.model = model.train()
        made = model.configure_optimizers()
        self.optimizers = made[0] if isinstance(made, tuple) else [made["optimizer"]]
        model.log = lambda *_, **__: None  # type: ignore[method-assign]
        # What a model that steps its optimisers itself asks of the trainer.
        strategy = SimpleNamespace(backward=_backward, _lightning_optimizers=self.optimizers)
        model._trainer = SimpleNamespace(current_epoch=epoch, strategy=strategy)  # type: ignore[assignment]
        if token_cells is not None and hasattr(model, "token_cells"):
            model.token_cells.copy_(torch.from_numpy(token_cells))

    def step(self, batch: Any, number: int) -> float:
        """Train on batch ``number`` of the epoch. Returns its loss."""
        if not self.model.automatic_optimization:
            return float(self.model.training_step(batch, number).detach())
        self.optimizers[0].zero_grad()
        loss = self.model.training_step(batch, number)
        loss.backward()
        self.optimizers[0].step()
        return float(loss.detach())


def _backward(loss: Tensor, _optimizer: object, **options: Any) -> None:
    loss.backward(**options)
