"""Compressed files, known by their content: read to the end, where the checksum stands, and never without a bound."""

from __future__ import annotations

import bz2
import gzip
import lzma
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any

from perturbench_lamin.errors import InputError, IntegrityError, PerturbenchError
from perturbench_lamin.files import CHUNK_BYTES

OPENERS: Mapping[bytes, Callable[[Any], Any]] = MappingProxyType(
    {b"\x1f\x8b": gzip.open, b"BZh": bz2.open, b"\xfd7zXZ": lzma.open}
)
"""How a compressed stream begins, and what opens it."""

SUFFIXES = (".gz", ".bz2", ".xz")

MOST_TIMES, ALWAYS = 100, 64 << 20
"""A table may unpack to this many times its size; up to so many bytes it may in any case."""


def opener(start: bytes) -> Callable[[Any], Any] | None:
    """What opens a stream that begins so; None where it is not compressed."""
    return next((opens for magic, opens in OPENERS.items() if start.startswith(magic)), None)


@contextmanager
def damage_named(path: Path, error_type: type[PerturbenchError] = IntegrityError) -> Iterator[None]:
    """Turn what the decompressors raise into one error that names the file.

    Raises:
        IntegrityError: (or ``error_type``) the stream is truncated, or its checksum is another one.
    """
    try:
        yield
    except (EOFError, OSError, zlib.error, lzma.LZMAError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise  # of the machine, not of the content
        raise error_type(
            f"Truncated or corrupt compressed file: {error}", where=path, fix="Fetch or make it again."
        ) from error


def require_bounded(unpacked: int, packed: int, path: Path) -> None:
    """Refuse what unpacks to far more than real content does.

    Raises:
        IntegrityError: ``unpacked`` bytes are too many for ``packed`` ones.
    """
    if unpacked > max(ALWAYS, MOST_TIMES * packed):
        raise IntegrityError(
            f"It unpacks to more than {MOST_TIMES} times its {packed:,} bytes", where=path, fix="Do not use it."
        )


def read_bytes(path: Path) -> bytes:
    """All of a file's content, decompressed where it is compressed.

    Raises:
        InputError: the file cannot be read, or its name says that it is compressed and it is not.
        IntegrityError: it is truncated or corrupt, or unpacks to far too much.
    """
    try:
        with path.open("rb") as file, damage_named(path):
            opens = opener(file.read(8))
            file.seek(0)
            if opens is None:
                return _plain(file.read(), path)
            packed, parts, size = path.stat().st_size, [], 0
            with opens(file) as stream:
                while chunk := stream.read(CHUNK_BYTES):
                    size += len(chunk)
                    require_bounded(size, packed, path)
                    parts.append(chunk)
            return b"".join(parts)
    except OSError as error:
        raise InputError(f"Not readable: {error.strerror}", where=path, fix="Check the path.") from error


def _plain(content: bytes, path: Path) -> bytes:
    if content and path.suffix in SUFFIXES:
        raise IntegrityError(
            f"Named {path.suffix}, but its content is not compressed so", where=path, fix="Rename or fetch it again."
        )
    return content
