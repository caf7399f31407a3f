"""Write RDS files: the kinds of objects that simulated deposits are made of.

XDR serialisation, version 3, as ``saveRDS`` writes it (*R Internals*, "Serialization Formats").
"""

from __future__ import annotations

import gzip
import struct
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from perturbench_lamin.errors import InputError
from perturbench_lamin.files import atomic_path
from perturbench_lamin.ingestion.r_objects import RObject

CHUNK = 1 << 20
COMPRESSION_LEVEL = 4  # R's own 6 makes the file a fifth smaller and takes twice the time

OBJECT, ATTRIBUTES, TAG = 1 << 8, 1 << 9, 1 << 10
S4_BIT = 1 << 16
UTF8, ASCII = 1 << 15, 1 << 18

SYMBOL, PAIRLIST, ENVIRONMENT, STRING, LIST, S4 = 1, 2, 4, 9, 19, 25
EMPTY_ENVIRONMENT, NULL, REFERENCE = 242, 254, 255
ATOMIC = {"logical": (10, ">i4"), "integer": (13, ">i4"), "double": (14, ">f8")}

R_VERSION, OLDEST_READER = 0x00040202, 0x00030500


def write_rds(path: str | Path, obj: RObject) -> Path:
    """Write an object to a gzip-compressed RDS file, atomically; the same object gives the same bytes.

    Raises:
        InputError: the object is of a kind that this writer does not write.
    """
    with (
        atomic_path(path) as temporary,
        temporary.open("wb") as file,
        gzip.GzipFile("", "wb", COMPRESSION_LEVEL, fileobj=file, mtime=0) as stream,
    ):
        _write_header(stream)
        RWriter(stream).write(obj)
    return Path(path)


class RWriter:
    """Writes objects to one stream; symbols and environments that come again are references, as in R.

    Args:
        stream: where to write, just behind the header.
    """

    def __init__(self, stream: gzip.GzipFile | BinaryIO) -> None:
        self._stream = stream
        self._references: dict[object, int] = {}

    def write(self, obj: RObject | None) -> None:
        """Write one object; None is R's NULL.

        Raises:
            InputError: a kind that is not written.
        """
        if obj is None:
            self._integers(NULL)
            return
        write = WRITERS.get(obj.kind)
        if write is None:
            raise InputError(f"Objects of kind {obj.kind!r} are not written", where="write_rds")
        write(self, obj)

    def _integers(self, *values: int) -> None:
        self._stream.write(struct.pack(f">{len(values)}i", *values))

    def _flagged(self, code: int, obj: RObject) -> None:
        flags = code | (ATTRIBUTES if obj.attributes else 0) | (OBJECT if "class" in obj.attributes else 0)
        self._integers(flags | (S4_BIT if obj.kind == "S4" else 0))

    def _attributes(self, attributes: Mapping[str, Any]) -> None:
        if attributes:
            self._pairs(attributes)

    def _pairs(self, pairs: Mapping[str, Any]) -> None:
        for tag, value in pairs.items():
            self._integers(PAIRLIST | TAG)
            self._symbol(tag)
            self.write(value)
        self._integers(NULL)

    def _atomic(self, obj: RObject) -> None:
        code, dtype = ATOMIC[obj.kind]
        values = np.asarray(obj.value)
        self._flagged(code, obj)
        self._integers(len(values))
        for start in range(0, len(values), CHUNK):
            self._stream.write(values[start : start + CHUNK].astype(dtype).tobytes())
        self._attributes(obj.attributes)

    def _character(self, obj: RObject) -> None:
        self._flagged(16, obj)
        self._integers(len(obj.value))
        for value in obj.value:
            self._string(value)
        self._attributes(obj.attributes)

    def _string(self, value: str | None) -> None:
        if value is None:
            self._integers(STRING, -1)
            return
        raw = value.encode()
        self._integers(STRING | (ASCII if value.isascii() else UTF8), len(raw))
        self._stream.write(raw)

    def _list(self, obj: RObject) -> None:
        self._flagged(LIST, obj)
        self._integers(len(obj.value))
        for item in obj.value:
            self.write(item)
        self._attributes(obj.attributes)

    def _s4(self, obj: RObject) -> None:
        self._flagged(S4, obj)
        self._attributes(obj.attributes)

    def _symbol(self, name: str) -> None:
        if not self._refer(("symbol", name)):
            self._integers(SYMBOL)
            self._string(name)

    def _environment(self, obj: RObject) -> None:
        if self._refer(("environment", id(obj))):
            return
        self._integers(ENVIRONMENT, 0, EMPTY_ENVIRONMENT, NULL)
        self._integers(LIST, 1)  # a hash table of one bucket, so that no name needs R's hash
        self._pairs(obj.value)
        self._integers(NULL)  # attributes

    def _refer(self, key: object) -> bool:
        """Write a reference to what was written before; else number it, and say that it is yet to be written."""
        number = self._references.get(key)
        if number is None:
            self._references[key] = len(self._references) + 1
            return False
        self._integers(number << 8 | REFERENCE)
        return True


def _write_header(stream: gzip.GzipFile | BinaryIO) -> None:
    encoding = b"UTF-8"
    stream.write(b"X\n" + struct.pack(">4i", 3, R_VERSION, OLDEST_READER, len(encoding)) + encoding)


def _kinds(
    names: Iterable[str], write: Callable[[RWriter, RObject], None]
) -> dict[str, Callable[[RWriter, RObject], None]]:
    return dict.fromkeys(names, write)


WRITERS: dict[str, Callable[[RWriter, RObject], None]] = {
    **_kinds(ATOMIC, RWriter._atomic),
    "character": RWriter._character,
    "list": RWriter._list,
    "S4": RWriter._s4,
    "symbol": lambda writer, obj: writer._symbol(obj.value),
    "environment": RWriter._environment,
}
"""What writes each kind of object."""
