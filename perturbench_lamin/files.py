"""Atomic writes and checksums: a final name never holds half a file."""

from __future__ import annotations

import errno
import hashlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from perturbench_lamin.errors import InputError

CHUNK_BYTES = 1 << 22
NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
MOST_BYTES = 120
"""Of a file's name in its temporary's, which is longer: file systems take 255."""


@contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """Yield a temporary sibling of ``path`` to write to; move it into place when the block succeeds.

    The temporary keeps the suffixes of ``path``, so that writers which look at them work. On an error
    it is removed and an existing file at ``path`` stays as it was. A kill leaves at worst a hidden
    ``.<name>.*.part*`` file, never a half-written ``path``.

    Raises:
        InputError: ``path`` is a symbolic link, a folder, a device or a pipe, which a move would replace.
    """
    path = Path(path)
    if path.is_symlink() or (path.exists() and not path.is_file()):
        raise InputError("Not a regular file, which could be replaced", where=path, fix="Name a file.")
    path.parent.mkdir(parents=True, exist_ok=True)
    stem, suffix = os.fsdecode(os.fsencode(path.name)[:MOST_BYTES]), "".join(path.suffixes[-2:])
    handle, name = tempfile.mkstemp(prefix=f".{stem}.", suffix=f".part{suffix}", dir=path.parent)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        temporary.chmod(0o666 & ~_umask())  # mkstemp makes files private; give the usual mode
        _fsync(temporary)
        temporary.replace(path)
    except BaseException as error:
        temporary.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.errno in NO_ROOM and error.filename is None:
            error.filename = str(temporary)  # the system names no file where a write fails
        raise


def require_apart(out: str | Path, *inputs: str | Path) -> None:
    """Refuse to write over what is read.

    Raises:
        InputError: ``out`` is one of the inputs, under whatever name.
    """
    for path in inputs:
        if Path(out).exists() and Path(path).exists() and Path(out).samefile(path):
            raise InputError("The output is an input", where=out, fix="Name another file.")


def write_text(path: str | Path, text: str) -> Path:
    """Write ``text`` to ``path`` atomically, as UTF-8 with ``\\n`` line ends."""
    with atomic_path(path) as temporary:
        temporary.write_bytes(text.encode())
    return Path(path)


def sha256(path: str | Path) -> str:
    """The file's SHA-256, as 64 hexadecimal digits."""
    return _digest(path, "sha256")


def _digest(path: str | Path, algorithm: str) -> str:
    with Path(path).open("rb") as stream:
        return hashlib.file_digest(stream, algorithm).hexdigest()


def _fsync(path: Path) -> None:
    with path.open("rb") as stream:
        os.fsync(stream.fileno())


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
