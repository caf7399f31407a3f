"""What was computed of files before, so that it costs nothing while they have not changed.

A file is known by its device, inode, size and times: whoever writes to it changes one of them. A file that was written
so shortly before it was read that a second write might not show in its times is not remembered.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from perturbench_lamin import files

FOLDER_VARIABLE = "PERTURBENCH_LAMIN_CACHE"
SMALL_BYTES = 1 << 20
"""Smaller files are read each time: that is quick, too."""
RACY_NS = 2_000_000_000
"""File systems tell times to 2 seconds or better."""
PATIENCE_S = 5.0


def sha256(path: str | Path) -> str:
    """The file's SHA-256, as 64 hexadecimal digits."""
    return of_file(path, "sha256", files.sha256)


def of_file(path: str | Path, what: str, compute: Callable[[Path], str]) -> str:
    """What ``compute`` makes of a file's content, remembered while the file stays the same.

    Args:
        path: the file; of a symbolic link, what it leads to.
        what: names what is computed; another name where another function computes it.
        compute: of the content alone.
    """
    path = Path(path)
    before, now = path.stat(), time.time_ns()
    if before.st_size < SMALL_BYTES:
        return compute(path)
    key = f"{what}:{_identity(before)}"
    known = recall(key)
    if known is not None:
        return known
    made = compute(path)
    settled = max(before.st_mtime_ns, before.st_ctime_ns) + RACY_NS < now
    if settled and _identity(path.stat()) == _identity(before):
        keep(key, made)
    return made


def recall(key: str) -> str | None:
    """The value kept under a key; None where there is none."""
    found = _ask("SELECT value FROM remembered WHERE key = ?", key)
    return str(found[0][0]) if found else None


def keep(key: str, value: str) -> None:
    """Keep a value for later; nothing happens where nothing can be kept."""
    _ask("INSERT OR REPLACE INTO remembered VALUES (?, ?)", key, value)


def _ask(statement: str, *values: str) -> list[tuple]:
    """Ask the table, which several processes may do at once. It only saves time: where it fails, nothing is known."""
    try:
        place = folder()
        place.mkdir(parents=True, exist_ok=True)
        with closing(sqlite3.connect(place / "remembered.sqlite", timeout=PATIENCE_S)) as table, table:
            table.execute("PRAGMA synchronous = OFF")
            table.execute("CREATE TABLE IF NOT EXISTS remembered (key TEXT PRIMARY KEY, value TEXT) WITHOUT ROWID")
            return table.execute(statement, values).fetchall()
    except (sqlite3.Error, OSError, RuntimeError):  # RuntimeError: there is no home folder
        return []


def folder() -> Path:
    """Where it is kept: ``PERTURBENCH_LAMIN_CACHE``, else in the user's cache folder. It can be deleted at any time."""
    if named := os.environ.get(FOLDER_VARIABLE):
        return Path(named)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path("~/.cache").expanduser()) / "perturbench-lamin"


def _identity(found: os.stat_result) -> str:
    numbers = (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)
    return "-".join(map(str, numbers))
