"""One process at a time: a lock that the operating system releases even when its holder is killed."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


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
