"""Which device an accelerator's name means, and how many processes train on one machine."""

from __future__ import annotations

import torch


def torch_device(accelerator: str) -> torch.device:
    """The device of an accelerator: ``auto``, ``cpu``, ``gpu``, ``cuda`` or ``mps``."""
    names = {"auto": "cuda" if torch.cuda.is_available() else "cpu", "gpu": "cuda"}
    return torch.device(names.get(accelerator, accelerator))


def processes(accelerator: str, devices: int) -> int:
    """How many processes a training has on each machine; ``devices`` -1 means one for each device."""
    if devices != -1:
        return devices
    return max(torch.cuda.device_count(), 1) if torch_device(accelerator).type == "cuda" else 1
