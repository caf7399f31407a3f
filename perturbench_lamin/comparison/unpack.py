"""Unpack deposited files without trusting them: no paths outside, no links, no more bytes than expected."""

from __future__ import annotations

import gzip
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any, BinaryIO

from perturbench_lamin.errors import IntegrityError, PerturbenchError
from perturbench_lamin.files import CHUNK_BYTES, atomic_path
from perturbench_lamin.storage.compressed import damage_named, opener

LARGEST_FILE = 128 << 30
"""Bytes that a compressed file may unpack to: several times the largest deposit."""

LARGEST_ARCHIVE = 4 << 30
"""Bytes that all files of an archive of splits may have together."""

MOST_MEMBERS = 10_000
LONGEST_HEADER = 1 << 20
"""Bytes that a member's header, such as one of a long name, may have."""

BROKEN = (tarfile.TarError, UnicodeError, ValueError, OverflowError)
CLASHES = (FileExistsError, IsADirectoryError, NotADirectoryError)
BLOCK = tarfile.BLOCKSIZE


def unpack_gzip(path: Path, target: Path, *, largest: int = LARGEST_FILE) -> Path:
    """Decompress a gzip file to ``target``, atomically; a file that is there already is kept.

    Raises:
        IntegrityError: the file is truncated or corrupt, or unpacks to more than ``largest`` bytes.
    """
    if target.exists():
        return target
    with damage_named(path), gzip.open(path, "rb") as stream, atomic_path(target) as temporary:
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
        IntegrityError: the archive is truncated or corrupt (its checksum is read, too), or too large; or a member is a
            link or a device, would lie outside the folder, or has the name of another.
    """
    if not folder.exists():
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{folder.name}.", dir=folder.parent) as made:
            inside = Path(made) / "files"
            inside.mkdir()
            with _opened(path) as archive:
                for member in _checked(archive, path, inside, largest):
                    archive.extract(member, inside, filter="data")
                _require_end(archive, path)
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


@contextmanager
def _opened(path: Path) -> Iterator[tarfile.TarFile]:
    """The archive, decompressed where its content says so; what is wrong with it is one error."""
    try:
        with damage_named(path), path.open("rb") as file:
            opens = opener(file.read(8))
            file.seek(0)
            with nullcontext(file) if opens is None else opens(file) as stream:
                bounded: Any = _Bounded(stream, path)
                yield tarfile.open(fileobj=bounded, mode="r:")  # noqa: SIM115 (closed with the stream)
    except CLASHES as error:
        raise IntegrityError(
            f"Two members have one name: {Path(error.filename).name!r}", where=path, fix="Do not use it."
        ) from error
    except PerturbenchError:
        raise
    except BROKEN as error:
        raise IntegrityError(f"Truncated or corrupt: {error}", where=path, fix="Fetch it again.") from error


class _Bounded:
    """A stream that refuses to be read at once by as much as a header may lie of itself."""

    def __init__(self, stream: BinaryIO, path: Path) -> None:
        self._stream, self._path = stream, path
        self.seek, self.tell = stream.seek, stream.tell

    def read(self, size: int = -1) -> bytes:
        if not 0 <= size <= LONGEST_HEADER:
            raise IntegrityError(
                f"A member's header wants {size:,} bytes", where=self._path, fix="Do not use the archive."
            )
        return self._stream.read(size)


def _require_end(archive: tarfile.TarFile, path: Path) -> None:
    """Read to the end: the archive's own mark, nothing but zeros behind it, and the compression's checksum.

    tarfile stops at the first header that it does not understand, or at that mark, and takes what it has for all.
    """
    stream: Any = archive.fileobj
    stream.seek(archive.offset)
    end = stream.read(BLOCK)
    if len(end) < BLOCK:
        raise IntegrityError("Truncated: the archive has no end", where=path, fix="Fetch it again.")
    while end:
        if end.strip(b"\0"):
            raise IntegrityError("Corrupt: what follows the last member is none", where=path, fix="Fetch it again.")
        end = stream.read(LONGEST_HEADER)


def _checked(archive: tarfile.TarFile, path: Path, folder: Path, largest: int) -> Iterator[tarfile.TarInfo]:
    total, seen = 0, set()
    for number, member in enumerate(archive):
        if not (member.isreg() or member.isdir()) or member.issparse():
            raise IntegrityError(f"The archive has a link or device: {member.name!r}", where=path, fix="Do not use it.")
        if not (folder / member.name).resolve().is_relative_to(folder.resolve()):
            raise IntegrityError(f"The archive writes outside: {member.name!r}", where=path, fix="Do not use it.")
        place = (folder / member.name).resolve()
        if not member.name.isprintable() or (place in seen and member.isreg()):
            raise IntegrityError(
                f"A member's name is unprintable or there twice: {member.name!r}", where=path, fix="Do not use it."
            )
        seen.add(place)
        total += member.size
        _require_small(total, largest, path)
        if number >= MOST_MEMBERS:
            raise IntegrityError(f"The archive has more than {MOST_MEMBERS:,} members", where=path)
        yield member


def _require_small(size: int, largest: int, path: Path) -> None:
    if size > largest:
        raise IntegrityError(f"It unpacks to more than {largest:,} bytes", where=path, fix="Do not use it.")
