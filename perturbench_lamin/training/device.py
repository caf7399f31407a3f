"""Which device an accelerator's name means, and how many processes train on one machine."""

from __future__ import annotations

import torch

from perturbench_lamin.errors import InputError, nearest
from perturbench_lamin.training.config import ACCELERATORS


def torch_device(accelerator: str) -> torch.device:
    """The device of an accelerator.

    Args:
        accelerator: one of :data:`~perturbench_lamin.training.config.ACCELERATORS`.

    Raises:
        InputError: there is no such accelerator, or torch finds none here.
    """
    if accelerator not in ACCELERATORS:
        raise InputError(f"Unknown accelerator {accelerator!r}", where="config", fix=nearest(accelerator, ACCELERATORS))
    found = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    kind = {"auto": "cuda" if found["cuda"] else "cpu", "gpu": "cuda"}.get(accelerator, accelerator)
    if not found[kind]:
        raise InputError(
            f"There is no {kind.upper()} device that torch can use",
            where=f"accelerator {accelerator}",
            fix="Use auto or cpu, or install the driver and a torch that is made for it.",
        )
    return torch.device(kind)


def processes(accelerator: str, devices: int) -> int:
    """How many processes a training has on each machine; ``devices`` -1 means one for each device."""
    if devices != -1:
        return devices
    return max(torch.cuda.device_count(), 1) if torch_device(accelerator).type == "cuda" else 1
