"""Read R's serialised objects from a stream: read, never evaluated.

The format is that of the chapter "Serialization Formats" of *R Internals*, versions 2 and 3. Functions,
byte code and language objects are walked over, because the older ``cell_data_set`` objects carry the methods
of a reference class with them; in the tree they are empty ``"other"`` objects. (The package rdata, as of 1.1, does
not get through that byte code, and holds a file in memory several times over.)

Reading from the stream holds a matrix once, makes a string that occurs a million times one Python string, lets a
class be made smaller as soon as it is complete (``constructors``), and turns a file that ends early into an error.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

import numpy as np

from perturbench_lamin.errors import InputError, IntegrityError
from perturbench_lamin.ingestion.altrep import expand
from perturbench_lamin.ingestion.byte_source import ByteSource
from perturbench_lamin.ingestion.r_objects import RObject

HAS_ATTRIBUTES, HAS_TAG = 1 << 9, 1 << 10
LATIN1_OR_BYTES = (1 << 14) | (1 << 13)  # bits 2 and 1 of the 16 that begin at bit 12

SYMBOL, PAIRLIST, LANGUAGE, BYTECODE, REFERENCE = 1, 2, 6, 21, 255
BYTECODE_REFERENCE, BYTECODE_DEFINITION = 243, 244
WITH_ATTRIBUTES = (239, 240)  # a pairlist and a language object inside byte code
BYTECODE_LISTS = {PAIRLIST, LANGUAGE, BYTECODE_DEFINITION, BYTECODE_REFERENCE, *WITH_ATTRIBUTES}

MOST_OBJECTS = 10_000_000
"""Vectors, lists and names of a file: a large one of single cells has some thousands."""

Constructors = Mapping[str, Callable[[RObject], Any]]


class RReader:
    """Reads the objects of one serialised stream.

    Args:
        source: the stream, just behind the header.
        constructors: for some R classes, what to make of an object as soon as it is complete.
        encoding: of strings that do not say theirs.
        where: what errors name.
    """

    def __init__(
        self, source: ByteSource, constructors: Constructors, encoding: str = "utf-8", where: object = None
    ) -> None:
        self._source, self._constructors = source, constructors
        self._encoding, self._where = encoding, where
        self._references: list[Any] = []
        self._strings: dict[bytes, str] = {}
        self._objects = 0

    def item(self) -> Any:
        """The next object; None for R's NULL.

        Raises:
            InputError: a type that no data file has, or an unknown alternative representation.
            IntegrityError: the stream ends early or its numbers make no sense.
        """
        return self._item(self._source.integer())

    def _item(self, flags: int) -> Any:
        read = READERS.get(flags & 0xFF)
        if read is None:
            raise InputError(
                f"Type {flags & 0xFF} is none of R's object types", where=self._where, fix="The file may be corrupt."
            )
        self._objects += 1
        if self._objects > MOST_OBJECTS:
            raise IntegrityError(f"It has more than {MOST_OBJECTS:,} objects", where=self._where, fix="Do not use it.")
        return read(self, flags)

    def _length(self) -> int:
        length = self._source.integer()
        if length == -1:  # a long vector: the two halves of its length follow
            high, low = self._source.integer(), self._source.integer()
            length = (high << 32) + (low & 0xFFFFFFFF)
        if length < 0:
            raise IntegrityError(f"A vector of length {length}", where=self._where, fix="The file is corrupt.")
        return length

    def _finish(self, obj: RObject, flags: int) -> Any:
        if flags & HAS_ATTRIBUTES:
            obj.attributes = {str(tag): value for tag, value in self._pairs(self._source.integer())}
        construct = self._constructors.get(obj.r_class) if obj.attributes else None
        return construct(obj) if construct else obj

    def _pairs(self, flags: int) -> Iterator[tuple[str | None, Any]]:
        """The (tag, item) pairs of a pairlist, in a loop: R nests them, and they can be long."""
        while flags & 0xFF in (PAIRLIST, LANGUAGE):
            if flags & HAS_ATTRIBUTES:
                self.item()
            tag = self.item() if flags & HAS_TAG else None
            yield (tag.value if isinstance(tag, RObject) else None), self.item()
            flags = self._source.integer()
        last = self._item(flags)
        if last is not None:  # a dotted pair
            yield None, last

    def _pairlist(self, flags: int) -> RObject:
        pairs = list(self._pairs(flags))
        return RObject("pairlist", pairs) if flags & 0xFF == PAIRLIST else RObject("other")

    def _closure(self, flags: int) -> RObject:
        for _ in range(bool(flags & HAS_ATTRIBUTES) + bool(flags & HAS_TAG) + 2):
            self.item()
        return RObject("other")

    def _atomic(self, flags: int, *, kind: str, dtype: type[np.generic]) -> Any:
        return self._finish(RObject(kind, self._source.array(dtype, self._length())), flags)

    def _character(self, flags: int) -> Any:
        values = [self._string(self._source.integer()) for _ in range(self._length())]
        return self._finish(RObject("character", values), flags)

    def _string(self, flags: int) -> str | None:
        length = self._source.integer()
        if length < -1:
            raise IntegrityError(f"A string of length {length}", where=self._where, fix="The file is corrupt.")
        raw = self._source.take(length) if length > 0 else b""
        if flags & HAS_ATTRIBUTES:
            self.item()
        if length < 0:
            return None
        if flags & LATIN1_OR_BYTES:
            return raw.decode("latin-1")
        text = self._strings.get(raw)
        if text is None:
            text = self._strings[raw] = self._decode(raw)
        return text

    def _decode(self, raw: bytes) -> str:
        try:
            return raw.decode(self._encoding)
        except UnicodeDecodeError as error:
            raise InputError(f"The string {raw[:40]!r} is not {self._encoding}", where=self._where) from error

    def _list(self, flags: int) -> Any:
        return self._finish(RObject("list", [self.item() for _ in range(self._length())]), flags)

    def _attributed(self, flags: int, *, kind: str) -> Any:
        return self._finish(RObject(kind), flags)

    def _constant(self, _: int, *, kind: str) -> RObject:
        return RObject(kind)

    def _null(self, _: int) -> None:
        return None

    def _symbol(self, _: int) -> RObject:
        return self._remember(RObject("symbol", self._string(self._source.integer())))

    def _remember(self, obj: RObject) -> RObject:
        self._references.append(obj)
        return obj

    def _reference(self, flags: int) -> Any:
        index = flags >> 8 or self._source.integer()
        if not 0 < index <= len(self._references):
            raise IntegrityError(f"Reference {index} to nothing", where=self._where, fix="The file is corrupt.")
        return self._references[index - 1]

    def _environment(self, _: int) -> RObject:
        environment = self._remember(RObject("environment", {}))
        self._source.integer()  # whether it is locked
        self.item()  # the enclosure: what functions see, not data
        frame, table = self.item(), self.item()
        chains = [frame, *(table.value if table is not None else [])]
        environment.value.update(pair for chain in chains if chain is not None for pair in chain.value)
        attributes = self.item()
        if attributes is not None:
            environment.attributes = {str(tag): value for tag, value in attributes.value}
        return environment

    def _pointer(self, flags: int) -> Any:
        pointer = self._remember(RObject("other"))
        self.item()
        self.item()
        return self._finish(pointer, flags)

    def _weak_reference(self, flags: int) -> Any:
        return self._finish(self._remember(RObject("other")), flags)

    def _builtin(self, _: int) -> RObject:
        self._source.take(self._source.integer())
        return RObject("other")

    def _package(self, _: int) -> RObject:
        self._source.integer()  # zero: names are not used
        for _i in range(self._source.integer()):
            self.item()
        return self._remember(RObject("other"))

    def _stray_string(self, flags: int) -> RObject:
        return RObject("character", [self._string(flags)])

    def _alternative(self, flags: int) -> Any:
        info, state, attributes = self.item(), self.item(), self.item()
        obj = expand(info, state, where=self._where)
        if attributes is not None:
            obj.attributes = {str(tag): value for tag, value in attributes.value}
        return self._finish(obj, flags & ~HAS_ATTRIBUTES)

    def _bytecode(self, flags: int) -> Any:
        self._source.integer()  # how many constants are shared
        self._bytecode_body()
        return self._finish(RObject("other"), flags)

    def _bytecode_body(self) -> None:
        self.item()
        for _ in range(self._source.integer()):
            self._bytecode_constant(self._source.integer())

    def _bytecode_constant(self, kind: int) -> None:
        if kind == BYTECODE:
            self._bytecode_body()
        else:
            self._bytecode_list(kind)

    def _bytecode_list(self, kind: int) -> None:
        """Walk over a language object inside byte code: its items are written without flags."""
        while kind in BYTECODE_LISTS and kind != BYTECODE_REFERENCE:
            if kind == BYTECODE_DEFINITION:
                self._source.integer()  # the number it is shared under
                kind = self._source.integer()
            if kind in WITH_ATTRIBUTES:
                self.item()
            self.item()  # the tag
            self._bytecode_list(self._source.integer())
            kind = self._source.integer()
        if kind == BYTECODE_REFERENCE:
            self._source.integer()
        else:
            self.item()


READERS: dict[int, Callable[[RReader, int], Any]] = {
    SYMBOL: RReader._symbol,
    PAIRLIST: RReader._pairlist,
    3: RReader._closure,
    4: RReader._environment,
    5: RReader._closure,  # a promise
    LANGUAGE: RReader._pairlist,
    7: RReader._builtin,
    8: RReader._builtin,
    9: RReader._stray_string,
    10: partial(RReader._atomic, kind="logical", dtype=np.int32),
    13: partial(RReader._atomic, kind="integer", dtype=np.int32),
    14: partial(RReader._atomic, kind="double", dtype=np.float64),
    15: partial(RReader._atomic, kind="complex", dtype=np.complex128),
    16: RReader._character,
    17: RReader._closure,
    19: RReader._list,
    20: RReader._list,  # an expression
    BYTECODE: RReader._bytecode,
    22: RReader._pointer,
    23: RReader._weak_reference,
    24: partial(RReader._atomic, kind="raw", dtype=np.uint8),
    25: partial(RReader._attributed, kind="S4"),
    238: RReader._alternative,
    **{code: partial(RReader._constant, kind="other") for code in (241, 242, 250, 251, 252, 253)},
    247: RReader._package,
    248: RReader._package,
    249: RReader._package,
    0: RReader._null,
    254: RReader._null,
    REFERENCE: RReader._reference,
}
"""What reads each of R's type codes."""
