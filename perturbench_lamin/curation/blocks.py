"""An HDF5 dataset written in blocks that threads compress; HDF5 itself compresses one block after the other."""

from __future__ import annotations

import zlib
from collections import deque
from concurrent.futures import Executor, Future
from functools import partial

import h5py
import numpy as np

from perturbench_lamin.curation.kernels import shuffle_bytes

BLOCK = 1 << 15
"""Values in a compressed block: small enough to read a few cells at random, large enough to read fast."""


class BlockWriter:
    """A one-dimensional dataset that grows; any HDF5 reader can read it.

    Args:
        group: where.
        name: the dataset's name.
        dtype: of its values.
        level: gzip's compression level, 1 to 9; 0 for none.
        shuffle: whether to bring the values' first bytes together, then the second ones, and so on: smaller for
            integers, larger for float values of which a few repeat.
    """

    def __init__(
        self, group: h5py.Group, name: str, dtype: type[np.number], level: int, *, shuffle: bool = True
    ) -> None:
        filters = {"compression": "gzip", "compression_opts": level, "shuffle": shuffle} if level else {}
        self._dataset = group.create_dataset(name, (0,), dtype, maxshape=(None,), chunks=(BLOCK,), **filters)
        self._encode = partial(_encode, level=level, shuffle=shuffle and level > 0)
        self._rest = np.zeros(0, dtype=dtype)
        self._written = 0
        self._coming: deque[Future[bytes]] = deque()

    def append(self, values: np.ndarray, pool: Executor) -> None:
        """Add values; what does not fill a block waits for more.

        The blocks are compressed while the caller makes the next ones: they are written at the next call.
        """
        values = np.concatenate([self._rest, values])
        whole = len(values) // BLOCK * BLOCK
        self._rest = values[whole:].copy()
        before = len(self._coming)
        self._coming += [pool.submit(self._encode, block) for block in values[:whole].reshape(-1, BLOCK)]
        self._write_first(before)

    def finish(self) -> None:
        """Write the last, shorter block (on disk filled up with zeros, as HDF5 does)."""
        self._write_first(len(self._coming))
        if len(self._rest):
            last = np.zeros(BLOCK, dtype=self._rest.dtype)
            last[: len(self._rest)] = self._rest
            self._dataset.resize((self._written + len(self._rest),))
            self._write(self._encode(last))

    def _write_first(self, blocks: int) -> None:
        self._dataset.resize((self._written + blocks * BLOCK,))
        for _ in range(blocks):
            self._write(self._coming.popleft().result())

    def _write(self, encoded: bytes) -> None:
        self._dataset.id.write_direct_chunk((self._written,), encoded)
        self._written += BLOCK


def _encode(block: np.ndarray, *, level: int, shuffle: bool) -> bytes:
    raw = _shuffled(block) if shuffle else block.view(np.uint8)
    if not level:
        return raw.tobytes()
    # Of shuffled whole numbers at level 1, runs alone are found in half the time and make a smaller file.
    strategy = zlib.Z_RLE if shuffle and level == 1 else zlib.Z_DEFAULT_STRATEGY
    made = zlib.compressobj(level, strategy=strategy)
    return made.compress(raw.data) + made.flush()


def _shuffled(block: np.ndarray) -> np.ndarray:
    shuffled = np.empty((block.itemsize, len(block)), dtype=np.uint8)
    shuffle_bytes(block.view(np.uint8).reshape(-1, block.itemsize), shuffled)
    return shuffled.reshape(-1)
