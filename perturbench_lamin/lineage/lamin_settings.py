"""LaminDB's settings file of an instance, in the home folder: which database and which storage a slug means."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from dotenv import dotenv_values

from perturbench_lamin.errors import ChainError
from perturbench_lamin.files import write_text

PREFIX = "lamindb_instance_"
NOTHING = ("", "null")
TEMPLATE: Mapping[str, str] = {
    "owner": "", "name": "", "storage_root": "", "storage_region": "null", "db": "null", "schema_str": "", "id": "",
    "git_repo": "null", "keep_artifacts_local": "False", "api_url": "null", "schema_id": "null",
    "fine_grained_access": "False", "db_permissions": "null", "is_clone": "False",
}  # fmt: skip
"""The fields of LaminDB 2.12, as it writes them for a local instance."""


@dataclass(frozen=True)
class LaminSettings:
    """What LaminDB on this machine knows of an instance.

    Attributes:
        values: field → text, as in LaminDB's file.
    """

    values: Mapping[str, str]

    @property
    def slug(self) -> str:
        """LaminDB's name of the instance, ``owner/name``."""
        return f"{self.values['owner']}/{self.values['name']}"

    @property
    def id(self) -> str:
        """LaminDB's id of the instance."""
        return self.values["id"]

    @property
    def files(self) -> Path | None:
        """The folder of the instance's files; None where they lie in a bucket."""
        root = self.values["storage_root"]
        return Path(root).resolve() if "://" not in root and root not in NOTHING else None

    @property
    def store(self) -> Path | None:
        """The folder of a SQLite database and its files; None where either lies on a server or in a bucket."""
        return self.files if self.values.get("db", "") in NOTHING else None


def settings_folder() -> Path:
    """Where LaminDB keeps its settings."""
    return Path(os.environ.get("LAMIN_SETTINGS_DIR") or Path.home()) / ".lamin"


def read_settings(slug: str, folder: Path | None = None) -> LaminSettings | None:
    """What LaminDB knows of an instance; None where it knows none of that name.

    Args:
        slug: ``owner/name``.
        folder: of the settings; LaminDB's own by default.

    Raises:
        ChainError: the file is not one of LaminDB's.
    """
    path = _file(slug, folder)
    if not path.is_file():
        return None
    found = {name.removeprefix(PREFIX): value or "" for name, value in dotenv_values(path).items()}
    lacking = {"owner", "name", "storage_root", "id"} - found.keys()
    if lacking:
        raise ChainError(
            f"LaminDB's settings of {slug} lack {sorted(lacking)[0]}", where=path, fix=f"Connect: lamin connect {slug}"
        )
    return LaminSettings(found)


def write_settings(settings: LaminSettings) -> None:
    """Make an instance known to LaminDB on this machine.

    Raises:
        ChainError: the settings cannot be written, or LaminDB would read something else.
    """
    path = _file(settings.slug)
    try:
        write_text(path, "".join(f"{PREFIX}{name}={value}\n" for name, value in settings.values.items()))
    except OSError as error:
        raise _unwritable(path.parent, error) from error
    if read_settings(settings.slug) != settings:
        path.unlink()
        raise ChainError("LaminDB's settings cannot hold this path", where=repr(settings.values["storage_root"]))


def require_writable() -> None:
    """Check that settings can be written, before any work.

    Raises:
        ChainError: they cannot.
    """
    folder = settings_folder()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if not os.access(folder, os.W_OK | os.X_OK):
            raise PermissionError("Permission denied")
    except OSError as error:
        raise _unwritable(folder, error) from error


def _unwritable(folder: Path, error: OSError) -> ChainError:
    return ChainError(
        f"LaminDB's settings cannot be written: {error.strerror or error}",
        where=folder,
        fix="Set LAMIN_SETTINGS_DIR to a folder that you can write to.",
    )


def _file(slug: str, folder: Path | None = None) -> Path:
    owner, _, name = slug.partition("/")
    return (folder or settings_folder()) / f"instance--{owner}--{name}.env"
