"""The LaminDB instance that a chain writes to: found, or made as a local SQLite one.

Nothing here imports :mod:`lamindb`: that connects as a side effect, so the instance must be known before.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from perturbench_lamin.errors import ChainError
from perturbench_lamin.files import write_text

INSTANCE_VARIABLE = "LAMIN_CURRENT_INSTANCE"
MODULES = "bionty,pertdb"
STORE = "lamin-store"


@dataclass(frozen=True)
class Instance:
    """A LaminDB instance and the folder of its chain's working files.

    Attributes:
        slug: LaminDB's name of it, ``owner/name``.
        folder: working files lie in ``folder/work``; a local instance's store beside them.
    """

    slug: str
    folder: Path

    @property
    def work(self) -> Path:
        """Executed notebooks, downloads and training folders: all can be made again."""
        return self.folder / "work"

    def variables(self) -> Mapping[str, str]:
        """Environment variables that connect a process to this instance."""
        return {INSTANCE_VARIABLE: self.slug}

    def connect(self) -> None:
        """Make this the instance that :mod:`lamindb` connects to when it is first imported.

        Raises:
            ChainError: another instance is connected in this process already.
        """
        if "lamindb" in sys.modules:
            import lamindb as ln

            current = ln.setup.settings.instance.slug
            if current != self.slug:
                raise ChainError(f"This process is connected to {current}, not {self.slug}", fix="Start a new process.")
        os.environ.update(self.variables())


def open_instance(where: str | Path | None, default: Path) -> Instance:
    """The instance to use.

    Args:
        where: a folder (its instance is made if it has none), the slug ``owner/name`` of an instance that
            ``lamin connect`` knows, or None: the one named by ``LAMIN_CURRENT_INSTANCE``, else the one in ``default``.
        default: the folder used where nothing else is said.
    """
    slug = _slug(where)
    return Instance(_known_slug(slug), default.resolve()) if slug else local_instance(Path(where or default))


def open_existing(where: str | Path | None, default: Path) -> Instance:
    """The instance to read, as :func:`open_instance` finds it; none is made.

    Args:
        where: as for :func:`open_instance`.
        default: as for :func:`open_instance`.

    Raises:
        ChainError: the folder has no instance, or one that this machine does not know.
    """
    if slug := _slug(where):
        return Instance(_known_slug(slug), default.resolve())
    folder = Path(where or default).resolve()
    if not _marker(folder).exists() or _note(folder).exists():
        raise ChainError("There is no instance", where=folder, fix="Name the folder that has it, or owner/name.")
    return _marked(folder)


def instance_folder(where: str | Path | None, default: Path) -> Path:
    """The folder of the working files of :func:`open_instance`, without making or opening anything."""
    return default.resolve() if _slug(where) else Path(where or default).resolve()


def _slug(where: str | Path | None) -> str | None:
    """The slug that ``where`` or the environment names; None where a folder is meant."""
    if where is None:
        return os.environ.get(INSTANCE_VARIABLE)
    named = str(where)
    is_slug = re.fullmatch(r"[\w-]+/[\w-]+", named) and not Path(named).exists() and not Path(named).parent.exists()
    return named if is_slug else None


def local_instance(folder: Path) -> Instance:
    """The instance in ``folder``, made if there is none yet.

    A kill while it is made leaves a note behind; what was made until then is removed at the next call.

    Raises:
        ChainError: LaminDB could not make it, or the folder names an instance this machine does not know.
    """
    folder = folder.resolve()
    if _note(folder).exists():
        _marker(folder).unlink(missing_ok=True)
        shutil.rmtree(folder / STORE, ignore_errors=True)
    if not _marker(folder).exists():
        _make(folder)
    return _marked(folder)


def _marked(folder: Path) -> Instance:
    marker = _marker(folder)
    return Instance(_known_slug(marker.read_text().strip(), marker), folder)


def _make(folder: Path) -> None:
    write_text(_note(folder), "An instance is being made here.\n")
    command = [sys.executable, "-m", "lamin_cli", "init", "--storage", STORE, "--name", _name(folder)]
    environment = {name: value for name, value in os.environ.items() if name != INSTANCE_VARIABLE}
    made = subprocess.run(
        [*command, "--modules", MODULES], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    if made.returncode or not _marker(folder).exists():
        raise ChainError(
            f"LaminDB could not make an instance: {(made.stderr or made.stdout).strip()[-2000:]}", where=folder
        )
    _note(folder).unlink()


def _name(folder: Path) -> str:
    """A name that two folders never share: LaminDB keeps one settings file a name."""
    stem = re.sub(r"[^a-z0-9]+", "-", folder.name.lower()).strip("-") or "perturbench"
    return f"{stem}-{hashlib.sha256(str(folder).encode()).hexdigest()[:8]}"


def _marker(folder: Path) -> Path:
    return folder / ".lamin" / "current_instance"


def _note(folder: Path) -> Path:
    """There while an instance is being made."""
    return folder / ".lamin" / "being-made"


def _known_slug(slug: str, marker: Path | None = None) -> str:
    owner, _, name = slug.partition("/")
    settings = Path(os.environ.get("LAMIN_SETTINGS_DIR", Path.home())) / ".lamin"
    if not (settings / f"instance--{owner}--{name}.env").exists():
        fix = f"Connect to it first: lamin connect {slug}"
        if marker:
            fix += f"; or, for a store copied from elsewhere, remove {marker} and start afresh."
        raise ChainError(f"The instance {slug} is not known on this machine", where=marker or settings, fix=fix)
    return slug
