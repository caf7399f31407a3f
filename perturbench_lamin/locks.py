"""One process at a time: locks that the operating system releases even when their holder is killed."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from perturbench_lamin.errors import ChainError, PerturbenchError


@contextmanager
def locked(path: str | Path) -> Iterator[None]:
    """Hold the lock file ``path`` (made where it does not exist, and left); wait for whoever holds it.

    The file is not removed: another process could be waiting on it, and would then hold a lock on nothing.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)  # released when the file is closed
        yield


@contextmanager
def only_one(
    folder: Path,
    what: str = "chain",
    name: str = ".lamin/chain.lock",
    error: type[PerturbenchError] = ChainError,
) -> Iterator[int]:
    """Hold the folder's lock, for two must never save one key, or write one training.

    It yields its file handle, for kernels to inherit.

    Two processes must never save one key, or write one training: a second one is refused, it does not wait.
    The lock is free again when the last process that holds the handle is gone, however it ended: after a kill
    of the chain, a kernel that is still writing keeps the next chain out.

    Args:
        folder: the folder.
        what: what the lock's holder does there, for the error.
        name: the lock file in the folder; it stays.
        error: the error to raise.

    Raises:
        ChainError: another process holds it (or the given error).
    """
    path = folder.resolve() / name
    path.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(handle, 32, 0).decode() or "unknown"
            raise error(
                f"Another {what} is running in this folder (process {holder})",
                where=folder,
                fix="Wait for it to end, or use another folder.",
            ) from None
        os.ftruncate(handle, 0)
        os.pwrite(handle, str(os.getpid()).encode(), 0)
        yield handle
    finally:
        os.close(handle)
