"""The LaminDB instance that a chain writes to: found, or made as a local SQLite one.

A folder is named, and its own store is used: a copy, and what was moved, becomes an instance of its own.
LaminDB itself goes by a name that the folder holds, and by what its settings in the home folder say of that name: a
copied folder would be the original.

Nothing here imports :mod:`lamindb` before :meth:`Instance.connect`: that connects as a side effect, so the instance
must be known before.
"""

from __future__ import annotations

import hashlib
import os
import re
import shlex
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

from perturbench_lamin.errors import ChainError
from perturbench_lamin.files import write_text
from perturbench_lamin.lineage.lamin_settings import LaminSettings, read_settings, settings_folder
from perturbench_lamin.lineage.making import make_known, make_store
from perturbench_lamin.lineage.store import Store
from perturbench_lamin.locks import locked, only_one

INSTANCE_VARIABLE = "LAMIN_CURRENT_INSTANCE"
STORE = "lamin-store"
MISREAD = re.compile(r"[#?\x00-\x1f\x7f]|\$\{|%[0-9A-Fa-f]{2}")
"""In a path, LaminDB takes these for something else, and opens a database in another place."""
SLUG = re.compile(r"[^/\s.~][^/\s]*/[^/\s]+")
"""What may be ``owner/name``: no whole path, and none that begins with ``./``, ``../`` or ``~``."""
OUR_NAME = re.compile(r"-[0-9a-f]{8}$")
"""How the names end that :func:`local_instance` gives."""


@dataclass(frozen=True)
class Instance:
    """A LaminDB instance and the folder of its chain's working files.

    Attributes:
        slug: LaminDB's name of it, ``owner/name``.
        folder: working files lie in ``folder/work``; a local instance's store beside them.
        by_slug: whether it was named by its slug, rather than by the folder.
    """

    slug: str
    folder: Path
    by_slug: bool = False

    @property
    def work(self) -> Path:
        """Executed notebooks, downloads and training folders: all can be made again."""
        return self.folder / "work"

    @property
    def option(self) -> str:
        """The option that names it in another command, to be pasted into a shell."""
        return shlex.join(("--instance", self.slug if self.by_slug else str(self.folder)))

    def variables(self) -> Mapping[str, str]:
        """Environment variables that connect a process to this instance."""
        return {INSTANCE_VARIABLE: self.slug}

    def connect(self) -> None:
        """Connect :mod:`lamindb` to this instance, and see that it answers.

        Raises:
            ChainError: another instance is connected in this process already, or this one cannot be opened.
        """
        if "lamindb" in sys.modules:
            import lamindb as ln

            current = ln.setup.settings.instance.slug
            if current != self.slug:
                raise ChainError(f"This process is connected to {current}, not {self.slug}", fix="Start a new process.")
        os.environ.update(self.variables())
        try:
            _ask()
        except (Exception, SystemExit) as error:  # of LaminDB, Django, the database's driver, or the network
            raise _unopened(self.slug, error) from error


def open_instance(where: str | Path | None, default: Path) -> Instance:
    """The instance to use.

    Args:
        where: a folder (its instance is made if it has none; a new one of the form ``a/b`` is written ``./a/b``),
            the slug ``owner/name`` of an instance that ``lamin connect`` knows, or None: the one named by
            ``LAMIN_CURRENT_INSTANCE``, else the one in ``default``.
        default: the folder used where nothing else is said.
    """
    slug = _slug(where)
    return _named(slug, default) if slug else local_instance(Path(where or default))


def open_existing(where: str | Path | None, default: Path) -> Instance:
    """The instance to read, as :func:`open_instance` finds it; none is made.

    Args:
        where: as for :func:`open_instance`.
        default: as for :func:`open_instance`.

    Raises:
        ChainError: the folder has no instance, one that this machine does not know, or one that is not whole.
    """
    if slug := _slug(where):
        return _named(slug, default)
    folder = Path(where or default).resolve()
    found = _in_folder(folder, held=False)
    if found is None:
        raise ChainError("There is no instance", where=folder, fix="Name the folder that has it, or owner/name.")
    return found


def instance_folder(where: str | Path | None, default: Path) -> Path:
    """The folder of the working files of :func:`open_instance`, without making or opening anything."""
    return default.resolve() if _slug(where) else Path(where or default).resolve()


def local_instance(folder: Path) -> Instance:
    """The instance in ``folder``, made if there is none yet. Who calls it holds the lock of the folder's chains.

    Raises:
        ChainError: LaminDB could not make it, or the folder has one that cannot be used.
    """
    folder = folder.resolve()
    found = _in_folder(folder, held=True)
    if found is not None:
        return found
    _require_plain(folder)
    with _alone(folder):
        found = _in_folder(folder, held=True)
        return found or _make(folder)


def settle_copy(folder: Path) -> None:
    """Make the instance of a folder one of its own where it is a copy of one that this machine knows.

    For processes that import :mod:`lamindb` in the folder by themselves. Instances that others named are left alone.

    Raises:
        ChainError: it is a copy that cannot be used.
    """
    found = _look(folder.resolve()) if OUR_NAME.search(_marked(folder)) else None
    if isinstance(found, _Moved) and found.known is not None:
        _in_folder(folder.resolve(), held=False)


def _make(folder: Path) -> Instance:
    store = folder / STORE
    if os.path.lexists(store) and (not store.is_dir() or any(store.iterdir())):
        raise ChainError(
            "Something other than a store stands where the instance's store would be made",
            where=store,
            fix="Move it, or name another folder.",
        )
    settings = make_store(store.resolve(), _name(folder))
    write_text(_marker(folder), settings.slug)
    return Instance(settings.slug, folder)


@dataclass(frozen=True)
class _Moved:
    """A store that lies in another place than LaminDB, or its own database, says."""

    store: Store
    owner: str
    known: LaminSettings | None


def _in_folder(folder: Path, *, held: bool) -> Instance | None:
    """The instance of a folder, made one of its own where it was copied or moved.

    Args:
        folder: resolved.
        held: whether the caller holds the lock of the folder's chains.
    """
    found = _look(folder)
    if not isinstance(found, _Moved):
        return found
    _require_plain(folder)
    if not (found.store.is_writable and os.access(folder, os.W_OK)):
        raise ChainError(
            "This instance was copied or moved, and cannot be used where it cannot be written to",
            where=folder,
            fix=f"Copy it to a folder of yours: {shlex.join(('cp', '-r', str(folder), 'FOLDER'))}",
        )
    with _alone(folder):
        found = _look(folder)
        if not isinstance(found, _Moved):
            return found
        with nullcontext() if held else only_one(folder):
            settings = make_known(found.store, found.known, f"{found.owner}/{_name(folder)}")
            write_text(_marker(folder), settings.slug)
    return Instance(settings.slug, folder)


def _look(folder: Path) -> Instance | _Moved | None:
    """What a folder has."""
    slug = _marked(folder)
    if slug and not re.fullmatch(r"[^/\s]+/[^/\s]+", slug):
        raise ChainError(f"Not the name of an instance: {slug[:80]!r}", where=_marker(folder), fix="Remove this file.")
    known = read_settings(slug) if slug else None
    if known is not None and known.store is None:  # on a server or in a bucket: not in any folder
        return Instance(_at_its_place(known), folder)
    store = _own_store(folder, slug, known)
    if store is None:
        return _elsewhere(folder, slug, known) if slug else None
    recorded = store.recorded_root()
    if known is not None and known.store == store.root and recorded == str(store.root):
        return Instance(slug, folder)
    made_by = store.mark().get("instance_slug", "").partition("/")[0] or "anonymous"
    owner = slug.partition("/")[0] or made_by
    if known is None and owner != made_by:
        raise _unknown(slug, _marker(folder))
    return _Moved(store, owner, known)


def _own_store(folder: Path, slug: str, known: LaminSettings | None) -> Store | None:
    """The store that lies in a folder: by our name or the one that it had, of the instance that the folder names."""
    names = [STORE, *([known.store.name] if known and known.store else []), *(["."] if slug else [])]
    for store in (Store((folder / name).resolve()) for name in names):
        if store.database.exists() and (known is None or store.mark().get("instance_id", known.id) == known.id):
            return store
    return None


def _elsewhere(folder: Path, slug: str, known: LaminSettings | None) -> Instance:
    """The instance that a folder without a store names: one that the user connected to the folder."""
    if known is None or known.store is None:
        raise _unknown(slug, _marker(folder))
    home = known.store.parent
    if home != folder and _marked(home) == slug:
        raise ChainError(
            f"The store of this folder's instance lies in another folder: {known.store}",
            where=folder,
            fix=f"Name that folder, {home}, or {slug}; for a copy, copy {known.store.name}, too.",
        )
    return Instance(_at_its_place(known), folder)


def _named(slug: str, default: Path) -> Instance:
    """The instance of that name, as LaminDB on this machine knows it."""
    known = read_settings(slug)
    if known is None:
        raise _unknown(slug)
    return Instance(_at_its_place(known), default.resolve(), by_slug=True)


def _at_its_place(known: LaminSettings) -> str:
    """The slug of an instance whose files, if they are on this machine, are where LaminDB looks for them."""
    gone = known.files is not None and not (known.files / ".lamindb").is_dir()
    if gone or (known.store is not None and not Store(known.store).database.is_file()):
        raise ChainError(
            f"The store of the instance {known.slug} is gone: it was moved or removed, or its making was interrupted",
            where=known.files,
            fix="Name the folder where it is now; to start afresh, name a new one.",
        )
    if known.store is None:
        return known.slug
    store = Store(known.store)
    if store.recorded_root() != str(store.root):
        raise ChainError(
            f"Another store stands where that of {known.slug} was",
            where=store.root,
            fix=f"Name its folder: --instance {shlex.quote(str(store.root.parent))}",
        )
    return known.slug


def _slug(where: str | Path | None) -> str | None:
    """The slug that ``where`` or the environment names; None where a folder is meant.

    ``a/b`` is a folder where an instance lies in it; a new one is told from a slug by ``./a/b`` or its whole path.
    """
    if where is None:
        return os.environ.get(INSTANCE_VARIABLE)
    if isinstance(where, Path):
        return None
    named = str(where)
    return named if SLUG.fullmatch(named) and not _is_instance(Path(named)) else None


def _is_instance(folder: Path) -> bool:
    return _marker(folder).is_file() or (folder / STORE).is_dir()


def _ask() -> None:
    """Import :mod:`lamindb`, which connects, and ask for the records that every use of an instance needs."""
    import lamindb as ln

    _ = ln.setup.settings.branch, ln.setup.settings.storage.record


def _unopened(slug: str, error: BaseException) -> ChainError:
    said = (str(error).strip().splitlines() or ["no reason given"])[0]
    if re.search(r'no such table|relation ".*" does not exist|matching query does not exist', str(error)):
        return ChainError(
            f"The database of {slug} is not complete: its making was interrupted, or its storage is not registered",
            where=said,
            fix="Make the instance again in an empty database, or register the storage: ln.Storage(…).save()",
        )
    return ChainError(
        f"LaminDB cannot open the instance {slug}",
        where=f"{type(error).__name__}: {said}",
        fix=f"See what it says: lamin connect {slug}",
    )


def _unknown(slug: str, marker: Path | None = None) -> ChainError:
    fix = f"Connect to it first: lamin connect {shlex.quote(slug)}; or "
    fix += f"remove {marker} and start afresh." if marker else f"name a folder with its dot: ./{slug}"
    return ChainError(f"The instance {slug!r} is not known on this machine", where=marker or settings_folder(), fix=fix)


def _require_plain(folder: Path) -> None:
    found = MISREAD.search(str(folder))
    if found:
        raise ChainError(
            f"LaminDB cannot keep an instance in a folder whose path has {found[0]!r}",
            where=repr(str(folder)),
            fix="Name another folder.",
        )


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Wait for other processes that make or settle the folder's instance."""
    with locked(folder / ".lamin" / "instance.lock"):
        yield


def _name(folder: Path) -> str:
    """A name that two folders never share: LaminDB keeps one settings file a name."""
    stem = re.sub(r"[^a-z0-9]+", "-", folder.name.lower()).strip("-") or "perturbench"
    return f"{stem}-{hashlib.sha256(str(folder).encode()).hexdigest()[:8]}"


def _marker(folder: Path) -> Path:
    return folder / ".lamin" / "current_instance"


def _marked(folder: Path) -> str:
    """The slug that a folder holds; empty where it holds none."""
    marker = _marker(folder)
    return marker.read_text(encoding="utf-8", errors="replace").strip() if marker.is_file() else ""
