"""Where the expression of a training is held: on the device that trains, in memory, or on disk."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from perturbench_lamin.errors import InputError, nearest
from perturbench_lamin.storage.anndata_file import AnnDataFile

if TYPE_CHECKING:
    import torch

MEMORIES = ("auto", "device", "memory", "disk")

ENTRY_BYTES = 8
"""Of a value and its gene number."""

MEMORY_SHARE, DEVICE_SHARE = 0.6, 0.5
"""The parts of free memory that the expression may take: batches, model and the system need the rest."""

CGROUP = Path("/sys/fs/cgroup")


@dataclass(frozen=True)
class Placement:
    """A decision.

    Attributes:
        where: ``device``, ``memory`` or ``disk``.
        reason: why, in a sentence.
    """

    where: str
    reason: str

    @property
    def read_as(self) -> str:
        """How to read the file, for :func:`~perturbench_lamin.loading.curated.read_curated`."""
        return "disk" if self.where == "disk" else "compact"


def place(path: str | Path, memory: str, device: torch.device, copies: int = 1) -> Placement:
    """Where to hold the expression of a curated file.

    Args:
        path: the file.
        memory: one of :data:`MEMORIES`; ``auto`` takes the first of the others where it fits (``device`` for
            CUDA devices alone: on a CPU it is the same memory).
        device: what trains.
        copies: how many processes of this machine hold it.

    Raises:
        InputError: there is no such way, or no such file.
    """
    if memory not in MEMORIES:
        raise InputError(f"No way to hold expression: {memory!r}", where="memory", fix=nearest(memory, MEMORIES))
    size = expression_bytes(path)
    if memory != "auto":
        return Placement(memory, f"Expression ({_gib(size)}): {memory}, as asked for")
    if device.type == "cuda":
        import torch

        free = torch.cuda.mem_get_info(device)[0]
        if size <= DEVICE_SHARE * free:
            return Placement("device", f"Expression ({_gib(size)}): on {device}, which has {_gib(free)} free")
    free = free_memory()
    if size * copies <= MEMORY_SHARE * free:
        return Placement("memory", f"Expression ({_gib(size)}): in memory, of which {_gib(free)} are free")
    return Placement("disk", f"Expression ({_gib(size)}): streamed from disk, as {_gib(free)} of memory are free")


def expression_bytes(path: str | Path) -> int:
    """Bytes of a file's expression in memory (as CSR of float32 and int32).

    Raises:
        InputError: there is no such file.
        IntegrityError: it has no expression, or is damaged.
    """
    if not Path(path).exists():
        raise InputError("No such curated file", where=path, fix="Make one with `perturbench-lamin preprocess`.")
    with AnnDataFile(path) as file:
        X = file.matrix("X", against_tables=False)
        return X.entries * ENTRY_BYTES + len(X.indptr) * 8


def free_memory() -> int:
    """Bytes of memory that this process may still take: of the machine, or of its container where that has less."""
    free = int(psutil.virtual_memory().available)
    limit, used = (CGROUP / name for name in ("memory.max", "memory.current"))
    if limit.is_file() and used.is_file() and (text := limit.read_text().strip()) != "max":
        free = min(free, max(int(text) - int(used.read_text()), 0))
    return free


def _gib(size: float) -> str:
    return f"{size / 2**30:.2f} GiB"
