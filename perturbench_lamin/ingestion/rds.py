"""Read RDS files, R's files of one object, without R and without running anything in them."""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, BinaryIO, Literal

from perturbench_lamin.errors import InputError, IntegrityError, PerturbenchError
from perturbench_lamin.ingestion.byte_source import ByteSource
from perturbench_lamin.ingestion.r_reader import Constructors, RReader
from perturbench_lamin.storage.compressed import damage_named, opener

LONGEST_NAME = 64
MOST_TIMES, SMALL = 300, 256 << 20
"""How many times its size a file may unpack to, and up to how many bytes in any case: real ones stay far below."""

MOST_LAYERS = 3
"""A deposit may compress what ``saveRDS`` had compressed already."""

BYTE_ORDERS: dict[bytes, Literal[">", "<"]] = {b"X\n": ">", b"B\n": "<"}
NONSENSE = (AttributeError, LookupError, MemoryError, OverflowError, TypeError, ValueError)
"""What a flipped byte in an uncompressed file leads to."""


def read_rds(path: str | Path, constructors: Constructors | None = None) -> Any:
    """Read the object in an RDS file.

    Args:
        path: the file; gzip, bzip2 and xz are recognised by their content, whatever the name.
        constructors: for some R classes, a function that makes something (smaller) of the object at once.

    Returns:
        The object as a tree of :class:`~perturbench_lamin.ingestion.r_objects.RObject`.

    Raises:
        InputError: the file is not an RDS, or one of text.
        IntegrityError: it is truncated or corrupt.
    """
    path = Path(path)
    with _decompressed(path) as stream, damage_named(path):
        source = _open(stream, path, max(SMALL, MOST_TIMES * path.stat().st_size))
        encoding = _read_header(source, path)
        obj = _read_object(RReader(source, constructors or {}, encoding, where=path), path)
        left = source.remaining()  # to the end, so that the compression's own checksum is compared
    if left:
        raise IntegrityError(f"{left:,} bytes follow the object", where=path, fix="It is corrupt: fetch it again.")
    return obj


def _read_object(reader: RReader, path: Path) -> Any:
    with contradictions_named(path):
        return reader.item()


@contextmanager
def contradictions_named(where: object) -> Iterator[None]:
    """Turn what comes of objects that contradict each other into one error.

    Raises:
        InputError: objects are nested too deeply.
        IntegrityError: a part is missing, of another kind or of another length than the others say.
    """
    try:
        yield
    except PerturbenchError as error:
        if error.where is None:
            raise type(error)(error.what, where=where, fix=error.fix) from error
        raise
    except RecursionError as error:
        raise InputError("The object is nested too deeply", where=where) from error
    except NONSENSE as error:
        first = next(iter(str(error).splitlines()), "")
        raise IntegrityError(
            f"The objects contradict each other ({type(error).__name__}: {first})",
            where=where,
            fix="The file is corrupt, or was not written by R: fetch it again.",
        ) from error


@contextmanager
def _decompressed(path: Path) -> Iterator[BinaryIO]:
    with ExitStack() as stack:
        stream: Any = stack.enter_context(path.open("rb"))
        for _ in range(MOST_LAYERS):
            with damage_named(path):
                start = stream.read(8)
                stream.seek(0)
            opens = opener(start)
            if opens is None:
                break
            stream = stack.enter_context(opens(stream))
        yield stream


def _open(stream: BinaryIO, path: Path, most: int) -> ByteSource:
    start = stream.read(2)
    if start not in BYTE_ORDERS:
        rest = start + stream.read(3)
        kinds = {b"RD": "an RData file of save()", b"A\n": "an RDS of text"}
        kind = kinds.get(start, f"not an RDS file: it begins with {rest!r}")
        raise InputError(f"This is {kind}", where=path, fix="In R, write one object with saveRDS(object, file).")
    return ByteSource(stream, BYTE_ORDERS[start], where=path, most=most)


def _read_header(source: ByteSource, path: Path) -> str:
    """Check the version of the format and return the encoding of strings that do not say theirs."""
    version, _writer, _oldest_reader = source.integer(), source.integer(), source.integer()
    if version not in (2, 3):
        raise InputError(
            f"Version {version} of R's serialisation format is unknown", where=path, fix="Versions 2 and 3 are read."
        )
    if version == 2:
        return "utf-8"
    length = source.integer()
    name = source.take(length).decode("ascii", "replace") if 0 < length <= LONGEST_NAME else ""
    try:
        return codecs.lookup(name).name
    except (LookupError, ValueError) as error:
        raise IntegrityError(f"The encoding {name!r} is unknown", where=path, fix="The file may be corrupt.") from error
