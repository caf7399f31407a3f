"""Files without a name: gone with the last process that uses them, however it ends."""

from __future__ import annotations

import os
import tempfile
import weakref
from pathlib import Path

import numpy as np

from perturbench_lamin.loading.kernels import read_spans


class Scratch:
    """An array on disk that is written from its start and read by spans.

    Args:
        folder: on whose disk.
        dtype: of the values.
    """

    def __init__(self, folder: Path, dtype: np.dtype) -> None:
        self.dtype = dtype
        self._handle, name = tempfile.mkstemp(dir=folder)
        Path(name).unlink()
        weakref.finalize(self, os.close, self._handle)

    def append(self, values: np.ndarray) -> None:
        """Write values after those that are there."""
        rest = memoryview(values.astype(self.dtype, copy=False).tobytes())
        while len(rest):
            rest = rest[os.write(self._handle, rest) :]

    def read(self, starts: np.ndarray, lengths: np.ndarray) -> np.ndarray:
        """Spans, one after the other; spans that touch are read at once.

        Args:
            starts: first value of each span, ascending.
            lengths: values of each span.

        Raises:
            OSError: the disk could not be read.
        """
        out = np.empty(int(lengths.sum()), dtype=self.dtype)
        if not read_spans(self._handle, self.dtype.itemsize, starts, lengths, out.view(np.uint8)):
            raise OSError(f"Could not read {out.nbytes:,} bytes of unpacked expression")
        return out
