"""Which device an accelerator's name means."""

from __future__ import annotations

import torch


def torch_device(accelerator: str) -> torch.device:
    """The device of an accelerator: ``auto``, ``cpu``, ``gpu``, ``cuda`` or ``mps``."""
    names = {"auto": "cuda" if torch.cuda.is_available() else "cpu", "gpu": "cuda"}
    return torch.device(names.get(accelerator, accelerator))
