"""A LaminDB store on this machine: a folder with a SQLite database and files, looked at without LaminDB.

LaminDB opens whatever database stands at a path, or makes an empty one there, and fails in the middle. Here a store is
seen to be whole, and to be where its own database says it is, before LaminDB connects to it.
"""

from __future__ import annotations

import os
import shutil
import socket
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import quote

from perturbench_lamin.errors import ChainError
from perturbench_lamin.files import atomic_path

SECONDS = 10
"""How long to wait for another process that is writing."""
FORGET = "If nothing in it is needed, remove {root} and call again; else restore it from a copy."


@dataclass(frozen=True)
class Store:
    """A store.

    Attributes:
        root: its folder, resolved, as LaminDB names it.
    """

    root: Path

    @property
    def database(self) -> Path:
        """The SQLite file."""
        return self.root / ".lamindb" / "lamin.db"

    @property
    def is_writable(self) -> bool:
        """Whether this process may write to the database: SQLite makes a journal beside it."""
        return os.access(self.database, os.W_OK) and os.access(self.database.parent, os.W_OK)

    def mark(self) -> dict[str, str]:
        """What LaminDB noted in the store when it was made: ``uid``, ``instance_slug``, ``instance_id``."""
        path = self.database.with_name("storage_uid.txt")
        uid, *lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else [""]
        return {"uid": uid, **dict(line.split("=", 1) for line in lines if "=" in line)}

    def recorded_root(self) -> str:
        """Where the database says that its store lies.

        Raises:
            ChainError: the store is not a whole one of a LaminDB that is installed.
        """
        with self._connection() as database:
            (found,) = database.execute("PRAGMA quick_check(1)").fetchone()
            if found != "ok":
                raise sqlite3.DatabaseError(" ".join(found.split()))
            _check_migrations(database, self.root)
            return self._recorded(database)

    def modules(self) -> str:
        """LaminDB's modules beside its core that the database has tables of, joined by commas."""
        with self._connection() as database:
            return ",".join(sorted(_migrations(database).keys() - {"lamindb"}))

    def settle(self, root: Path) -> None:
        """Note ``root`` as where the store lies, and the folder of its chains with it.

        A chain that was running when the store was copied, or before it was moved, is not running here: the next one
        finds it as left behind.

        Args:
            root: a folder, resolved.

        Raises:
            ChainError: as for :meth:`recorded_root`.
        """
        if self.database.stat().st_nlink > 1:  # a copy by hard links: what is written here must not show there
            with atomic_path(self.database) as own:
                shutil.copyfile(self.database, own)
        with self._connection() as database, database:
            before = self._recorded(database)
            database.execute("UPDATE lamindb_storage SET root = ? WHERE root = ?", (str(root), before))
            database.execute(
                "UPDATE lamindb_run SET extra_data = json_set(extra_data, '$.folder', ?, '$.host', ?)"
                " WHERE json_valid(extra_data) AND json_extract(extra_data, '$.folder') = ?",
                (str(root.parent), socket.gethostname(), str(Path(before).parent)),
            )

    def _recorded(self, database: sqlite3.Connection) -> str:
        main = database.execute("SELECT 1 FROM lamindb_branch WHERE name = 'main'").fetchone()
        of_local = "SELECT root FROM lamindb_storage WHERE type = 'local' ORDER BY uid = ? DESC, id"
        row = database.execute(of_local, (self.mark()["uid"],)).fetchone()  # the first one where the mark is lost
        if main is None or row is None:
            raise _interrupted(self.root)
        return str(row[0])

    @contextmanager
    def _connection(self) -> Iterator[sqlite3.Connection]:
        """A connection that makes no file; SQLite's errors in one line."""
        if not self.database.is_file():
            raise ChainError("There is no LaminDB database", where=self.database, fix="Name the folder that has it.")
        mode = "rw" if self.is_writable else "ro"  # a journal that a kill left is rolled back where that can be
        try:
            uri = f"file:{quote(str(self.database))}?mode={mode}"
            with closing(sqlite3.connect(uri, uri=True, timeout=SECONDS)) as database:
                yield database
        except sqlite3.Error as error:
            raise _told(error, self.root, self.database) from error


def _told(error: sqlite3.Error, root: Path, database: Path) -> ChainError:
    if "no such table" in str(error):
        return _interrupted(root)
    if "locked" in str(error):
        return ChainError(
            "Another process is writing to the instance's database", where=database, fix="Wait for it, and call again."
        )
    return ChainError(f"The instance's database is damaged: {error}", where=database, fix=FORGET.format(root=root))


def _interrupted(root: Path) -> ChainError:
    return ChainError(
        "The making of this instance was interrupted: its database is not complete",
        where=root,
        fix=FORGET.format(root=root),
    )


def _check_migrations(database: sqlite3.Connection, root: Path) -> None:
    for app, applied in _migrations(database).items():
        installed = _installed(app)
        if installed and applied > installed:
            raise ChainError(
                f"The instance is of a newer version of {app} (migration {applied:04d}; installed: {installed:04d})",
                where=root,
                fix=f"Install the version of {app} that it was made with.",
            )
        if applied < installed:
            raise ChainError(
                f"The instance is of an older version of {app} (migration {applied:04d}; installed: {installed:04d})",
                where=root,
                fix="Back it up; then, in its folder: lamin migrate deploy",
            )


def _migrations(database: sqlite3.Connection) -> dict[str, int]:
    """App → the number of its last migration."""
    rows = database.execute("SELECT app, name FROM django_migrations").fetchall()
    numbers = [(app, int(name[:4])) for app, name in rows if name[:4].isdigit()]
    return {app: max(number for other, number in numbers if other == app) for app, _ in numbers}


def _installed(app: str) -> int:
    """The number of an app's last migration that is installed; 0 where it is not."""
    spec = find_spec(app)
    folders = [Path(place) / "migrations" for place in (spec.submodule_search_locations or ())] if spec else []
    return max((int(path.name[:4]) for folder in folders for path in folder.glob("[0-9]*.py")), default=0)
