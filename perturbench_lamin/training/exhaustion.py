"""Out of memory: say what to lower."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from perturbench_lamin.errors import PerturbenchError

TORCH_WORDS = ("can't allocate memory", "not enough memory")
"""What torch says when the memory of the CPU runs out; it has no error of its own for that."""


class ExhaustedError(PerturbenchError):
    """The memory of the machine or of its accelerator is not enough."""


@contextmanager
def exhaustion_explained(where: str, advice: str) -> Iterator[None]:
    """Raise an error that says what to lower where the block runs out of memory.

    Args:
        where: what was being done.
        advice: what to lower.

    Raises:
        ExhaustedError: memory ran out.
    """
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not _exhausted(error):
            raise
        kind = "GPU memory" if isinstance(error, torch.OutOfMemoryError) else "Memory"
        raise ExhaustedError(f"{kind} ran out", where=where, fix=advice) from error


def _exhausted(error: Exception) -> bool:
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return any(words in str(error) for words in TORCH_WORDS)
