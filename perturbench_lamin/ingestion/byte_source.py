"""A buffered stream of numbers in a fixed byte order, in which a missing byte is an error."""

from __future__ import annotations

import struct
import sys
from typing import BinaryIO, Literal

import numpy as np
import numpy.typing as npt

from perturbench_lamin.errors import IntegrityError

BUFFER_BYTES = 1 << 20
FILL_BYTES = 1 << 22
LONGEST = 1 << 28


class ByteSource:
    """Reads integers, byte strings and arrays from a stream.

    Small reads come out of one buffer (a file holds millions of short strings); arrays are read straight
    into their own memory, so that a matrix is never held twice.

    Args:
        stream: a binary stream, already decompressed.
        order: ``">"`` or ``"<"``, the byte order of the numbers.
        where: what errors name.
        most: bytes that the stream may have; None for any number.
    """

    def __init__(
        self, stream: BinaryIO, order: Literal[">", "<"], where: object = None, most: int | None = None
    ) -> None:
        self._stream, self._order, self._where = stream, order, where
        self._left = sys.maxsize if most is None else most
        self._unpack = struct.Struct(f"{order}i").unpack_from
        self._buffer, self._at = b"", 0

    def integer(self) -> int:
        """The next signed 32-bit integer."""
        self._ensure(4)
        (value,) = self._unpack(self._buffer, self._at)
        self._at += 4
        return int(value)

    def take(self, n: int) -> bytes:
        """The next ``n`` bytes, :data:`LONGEST` at most."""
        if not 0 <= n <= LONGEST:
            raise IntegrityError(f"A text of {n:,} bytes", where=self._where, fix="The file is corrupt.")
        self._ensure(n)
        start, self._at = self._at, self._at + n
        return self._buffer[start : self._at]

    def array(self, dtype: npt.DTypeLike, n: int) -> npt.NDArray:
        """The next ``n`` numbers, in the machine's byte order."""
        kind = np.dtype(dtype).newbyteorder(self._order)
        out = np.empty(n, dtype=kind)
        view = out.view(np.uint8).data
        held = min(len(self._buffer) - self._at, len(view))
        view[:held] = self._buffer[self._at : self._at + held]
        self._at += held
        self._fill(view[held:])
        if kind.isnative:
            return out
        return out.byteswap(inplace=True).view(kind.newbyteorder("="))

    def remaining(self) -> int:
        """How many bytes are left; reads to the end, so that a compressed stream checks itself."""
        left = len(self._buffer) - self._at
        while chunk := self._stream.read(BUFFER_BYTES):
            left += len(chunk)
        self._buffer, self._at = b"", 0
        return left

    def _ensure(self, n: int) -> None:
        missing = n - (len(self._buffer) - self._at)
        if missing <= 0:
            return
        parts = [self._buffer[self._at :]]
        while missing > 0:
            chunk = self._stream.read(max(missing, BUFFER_BYTES))
            if not chunk:
                raise self._truncated()
            self._spend(len(chunk))
            parts.append(chunk)
            missing -= len(chunk)
        self._buffer, self._at = b"".join(parts), 0

    def _fill(self, view: memoryview) -> None:
        while view:
            # A compressed stream reads what it is asked for into bytes of its own first: ask for little.
            got = self._stream.readinto(view[:FILL_BYTES])  # type: ignore[attr-defined]
            if not got:
                raise self._truncated()
            self._spend(got)
            view = view[got:]

    def _spend(self, n: int) -> None:
        self._left -= n
        if self._left < 0:
            raise IntegrityError("It unpacks to far more than its size", where=self._where, fix="Do not use it.")

    def _truncated(self) -> IntegrityError:
        return IntegrityError(
            "The file ends in the middle of an object", where=self._where, fix="It is truncated: fetch it again."
        )
