"""Where the heavy kernels run: on all cores of the processor, or on a GPU.

Distances between all pairs of rows, energy distances, and principal components ask :func:`accelerator`. Statistics
of groups of cells and rank-sum tests stay on the processor: they read each stored value once or twice, which takes no
longer than its way to a GPU. Both places compute in double precision and agree to rounding.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

from perturbench_lamin.errors import InputError, nearest

if TYPE_CHECKING:
    from perturbench_lamin.evaluation.torch_kernels import TorchKernels

DEVICES = ("auto", "cpu", "cuda")

_KERNELS: ContextVar[TorchKernels | None] = ContextVar("kernels", default=None)


def accelerator() -> TorchKernels | None:
    """The kernels of the GPU in use; None for those of the processor."""
    return _KERNELS.get()


@contextmanager
def on_device(device: str | None) -> Iterator[str]:
    """Run what is computed within on a device.

    Args:
        device: ``cpu``, ``cuda``, or ``auto``: a GPU where there is one. None changes nothing.

    Yields:
        What is used, to tell the reader: ``cpu``, or ``cuda`` with the GPU's name.

    Raises:
        InputError: no such device, or there is no GPU.
    """
    with using(_KERNELS.get() if device is None else _choose(device)) as used:
        yield used


@contextmanager
def using(kernels: TorchKernels | None) -> Iterator[str]:
    """Run what is computed within by these kernels; by those of the processor where None."""
    token = _KERNELS.set(kernels)
    try:
        yield "cpu" if kernels is None else kernels.name
    finally:
        _KERNELS.reset(token)


def _choose(device: str) -> TorchKernels | None:
    if device not in DEVICES:
        raise InputError(f"No device {device!r}", where="device", fix=nearest(device, DEVICES))
    if device == "cpu":
        return None
    import torch

    if torch.cuda.is_available():
        from perturbench_lamin.evaluation.torch_kernels import TorchKernels

        return TorchKernels("cuda")
    if device == "cuda":
        raise InputError(
            "There is no CUDA GPU that torch can use",
            where="device",
            fix="Use auto or cpu, or install the driver and a torch with CUDA.",
        )
    return None
