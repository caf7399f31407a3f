"""The heaps in which an HDF5 file keeps its text, looked through before HDF5 does.

HDF5 (2.0) goes round for ever in a heap whose free space says that it has no bytes: a few bytes of damage, and no
error would ever come. Format: HDF5 File Format Specification 3.0, III.E, "Global Heap".
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import h5py

from perturbench_lamin.errors import IntegrityError
from perturbench_lamin.storage.reading import AGAIN

SIGN = b"GCOL\x01\x00\x00\x00"
HEADER = 16
"""Bytes before the first object of a heap (with lengths of 8 bytes, as everywhere), and before each object's data."""

SMALLEST = 4096
"""Bytes of a heap at least: HDF5 makes none smaller."""

PIECE = 1 << 22
LARGE = 1 << 20
"""Bytes of an array that make it worth knowing where it is stored, so as not to look for heaps in it."""

Span = tuple[int, int]


class Stored:
    """Collects where the large arrays of a file are stored."""

    def __init__(self) -> None:
        self.spans: list[Span] = []

    def add(self, dataset: h5py.h5d.DatasetID) -> None:
        """Take in an array, if it is large."""
        if dataset.get_storage_size() < LARGE:
            return
        layout = dataset.get_create_plist().get_layout()
        if layout == h5py.h5d.CHUNKED:
            dataset.chunk_iter(lambda chunk: self.spans.append((chunk.byte_offset, chunk.byte_offset + chunk.size)))
        elif layout == h5py.h5d.CONTIGUOUS and (offset := dataset.get_offset()) is not None:
            self.spans.append((offset, offset + dataset.get_storage_size()))

    def between(self, size: int) -> Iterator[Span]:
        """The parts of a file of that size that hold none of them and have room for a heap."""
        at = 0
        for start, stop in [*sorted(self.spans), (size, size)]:
            if start - at >= SMALLEST:
                yield at, start
            at = max(at, stop)


def require_heaps(path: Path, stored: Stored) -> None:
    """Look through the heaps of a file.

    Raises:
        IntegrityError: one of them is damaged so that HDF5 would not come to its end.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        for start, stop in stored.between(size):
            for at in range(start, stop, PIECE):
                file.seek(at)
                piece = file.read(min(PIECE + len(SIGN), stop - at))
                found = piece.find(SIGN)
                while found >= 0:
                    _require_end(path, at + found, size)
                    found = piece.find(SIGN, found + 1)


def _require_end(path: Path, at: int, size: int) -> None:
    """Go through a heap's objects as HDF5 does."""
    with path.open("rb") as file:
        file.seek(at)
        length = int.from_bytes(file.read(HEADER)[8:], "little")
        if not HEADER < length <= size - at:
            return  # HDF5 says so itself
        file.seek(at)
        heap = file.read(length)
    place = HEADER
    while place + HEADER <= length:
        number, room = heap[place : place + 2], int.from_bytes(heap[place + 8 : place + 16], "little")
        if number == b"\x00\x00" and room == 0:
            raise IntegrityError(f"The heap of texts at byte {at:,} is damaged", where=path, fix=AGAIN)
        place += room if number == b"\x00\x00" else HEADER + -(-room // 8) * 8
