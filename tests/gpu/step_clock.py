"""A callback that times training steps, and what is between two of one epoch."""

from __future__ import annotations

import time
from typing import Any

import torch
from lightning import Callback

WARM = 3
"""How many steps do not count: kernels are chosen, memory is taken."""


class EnoughError(Exception):
    """The steps that were asked for are done."""


class StepClock(Callback):
    """Seconds of each step and of each gap before one: the loader, and the way to the device.

    Args:
        device: ``cuda`` or ``cpu``.
        steps: after so many it ends the training with :class:`EnoughError`.
        seconds: or after so long, one step being done.
    """

    def __init__(self, device: str, steps: int, seconds: float) -> None:
        self.device, self.steps, self.seconds = device, steps, seconds
        self.busy: list[float] = []
        self.gaps: list[float] = []
        self.seen, self.ended, self.begun = 0, None, time.perf_counter()

    def now(self) -> float:
        """The time when the device is done with what it was given."""
        if self.device == "cuda":
            torch.cuda.synchronize()
        return time.perf_counter()

    def on_train_epoch_start(self, trainer: Any, pl_module: Any) -> None:
        """What was before is validation."""
        self.ended = None

    def on_train_batch_start(self, trainer: Any, pl_module: Any, batch: Any, batch_idx: int) -> None:
        """The batch is on the device."""
        self.started = self.now()

    def on_train_batch_end(self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Count the step."""
        before, self.ended, self.seen = self.ended, self.now(), self.seen + 1
        if self.seen > WARM and before is not None:
            self.busy.append(self.ended - self.started)
            self.gaps.append(self.started - before)
        if self.busy and (len(self.busy) >= self.steps or self.ended - self.begun > self.seconds):
            raise EnoughError
