"""Unpack deposited files without trusting them: no paths outside, no links, no more bytes than expected."""

from __future__ import annotations

import gzip
import tarfile
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from perturbench_lamin.errors import IntegrityError
from perturbench_lamin.files import CHUNK_BYTES, atomic_path

LARGEST_FILE = 128 << 30
"""Bytes that a compressed file may unpack to: several times the largest deposit."""

LARGEST_ARCHIVE = 4 << 30
"""Bytes that all files of an archive of splits may have together."""

MOST_MEMBERS = 10_000
BROKEN = (EOFError, zlib.error, gzip.BadGzipFile, tarfile.TarError)


def unpack_gzip(path: Path, target: Path, *, largest: int = LARGEST_FILE) -> Path:
    """Decompress a gzip file to ``target``, atomically; a file that is there already is kept.

    Raises:
        IntegrityError: the file is truncated or corrupt, or unpacks to more than ``largest`` bytes.
    """
    if target.exists():
        return target
    with _readable(path), gzip.open(path, "rb") as stream, atomic_path(target) as temporary:
        written = 0
        with temporary.open("wb") as out:
            while chunk := stream.read(CHUNK_BYTES):
                written += len(chunk)
                _require_small(written, largest, path)
                out.write(chunk)
    return target


def unpack_tar(path: Path, folder: Path, *, largest: int = LARGEST_ARCHIVE) -> list[Path]:
    """Unpack an archive's files into ``folder``; a folder that is there already is kept.

    Args:
        path: a tar file, compressed or not.
        folder: made at the end, when all is unpacked.
        largest: bytes that all files may have together.

    Returns:
        The files, sorted.

    Raises:
        IntegrityError: the archive is truncated or corrupt, or too large; or a member is a link or a device, or would
            lie outside the folder.
    """
    if not folder.exists():
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{folder.name}.", dir=folder.parent) as made:
            inside = Path(made) / "files"
            inside.mkdir()
            with _readable(path), tarfile.open(path) as archive:
                for member in _checked(archive, path, inside, largest):
                    archive.extract(member, inside, filter="data")
            inside.replace(folder)
    return sorted(found for found in folder.rglob("*") if found.is_file())


@contextmanager
def unpacked(path: Path) -> Iterator[Path]:
    """The file itself, or, where its name ends in ``.gz``, a decompressed copy that is gone afterwards."""
    if path.suffix != ".gz":
        yield path
        return
    with tempfile.TemporaryDirectory(prefix="unpacked-") as folder:
        yield unpack_gzip(path, Path(folder) / path.name.removesuffix(".gz"))


def _checked(archive: tarfile.TarFile, path: Path, folder: Path, largest: int) -> Iterator[tarfile.TarInfo]:
    total = 0
    for number, member in enumerate(archive):
        if not (member.isreg() or member.isdir()):
            raise IntegrityError(f"The archive has a link or device: {member.name!r}", where=path, fix="Do not use it.")
        if not (folder / member.name).resolve().is_relative_to(folder.resolve()):
            raise IntegrityError(f"The archive writes outside: {member.name!r}", where=path, fix="Do not use it.")
        total += member.size
        _require_small(total, largest, path)
        if number >= MOST_MEMBERS:
            raise IntegrityError(f"The archive has more than {MOST_MEMBERS:,} members", where=path)
        yield member


def _require_small(size: int, largest: int, path: Path) -> None:
    if size > largest:
        raise IntegrityError(f"It unpacks to more than {largest:,} bytes", where=path, fix="Do not use it.")


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    try:
        yield
    except BROKEN as error:
        raise IntegrityError(f"Truncated or corrupt: {error}", where=path, fix="Fetch it again.") from error
