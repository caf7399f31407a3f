"""New HDF5 files that close even where the disk is full.

What HDF5 cannot write it keeps, and tries to write again when the file is closed and when the process ends; then it
crashes. Some failures it does not hand on at all. So it writes to a stream that fails only once, and never to HDF5.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import anndata as ad
import h5py

KEPT_BYTES = 1 << 20
"""Of a write that failed, at most: HDF5 may read its own tables again, not the values of large arrays."""


class NewHDF5(h5py.File):
    """An HDF5 file to write, as a context.

    Args:
        path: the file; make it an atomic one's temporary, for what a failure leaves is of no use.
        mode: ``w``, or ``r+`` for one that is there.

    Raises:
        OSError: the disk is full, or fails: by :meth:`check`, and at the latest at the end of the block, in place of
            any other error.
    """

    def __init__(self, path: str | Path, mode: str = "w") -> None:
        self._stream = _FailingOnce(path, "r+b" if mode == "r+" else "w+b")
        super().__init__(self._stream, mode)

    def check(self) -> None:
        """Raise what failed so far, lest more is computed for nothing."""
        if self._stream.failure is not None:
            raise self._stream.failure

    def __exit__(self, *error: Any) -> None:
        """Close the file."""
        try:
            super().__exit__(*error)
        finally:
            self._stream.close()
            self.check()


class _FailingOnce(io.FileIO):
    """A file that keeps its first failure, and from then on takes what is written to it as a full disk would not."""

    def __init__(self, path: str | Path, mode: str) -> None:
        super().__init__(path, mode)
        self.path = str(path)
        self.failure: OSError | None = None
        self._kept: dict[int, bytes] = {}

    def write(self, data: Any) -> int:
        """Write all of ``data``, or keep what failed."""
        view, done = memoryview(data).cast("B"), 0
        start = self.tell()
        try:
            while self.failure is None and done < len(view):
                done += super().write(view[done:]) or 0
        except OSError as error:
            self.failure = OSError(error.errno, error.strerror, self.path)
        if self.failure is not None and len(view) <= KEPT_BYTES:
            self._kept[start] = bytes(view)
        return len(view)

    def readinto(self, buffer: Any) -> int:
        """Read, and what was kept in its place."""
        view, start = memoryview(buffer).cast("B"), self.tell()
        count = super().readinto(view) or 0
        for place, data in self._kept.items():
            low, high = max(start, place), min(start + len(view), place + len(data))
            if low < high:
                view[low - start : high - start] = data[low - place : high - place]
                count = max(count, high - start)
        return count

    def truncate(self, size: int | None = None) -> int:
        """Change the size; after a failure it does not matter."""
        try:
            return super().truncate(size)
        except OSError as error:
            self.failure = self.failure or OSError(error.errno, error.strerror, self.path)
            return size or 0


def write_h5ad(adata: ad.AnnData, path: str | Path, compression: str | None = None) -> None:
    """Write an h5ad file, as :meth:`anndata.AnnData.write_h5ad` does.

    Args:
        adata: what to write; its columns of repeated strings become categories.
        path: the file; make it an atomic one's temporary.
        compression: HDF5's name of one.
    """
    with NewHDF5(path) as file:
        write_anndata(file, adata, compression)


def write_anndata(file: h5py.File, adata: ad.AnnData, compression: str | None = None) -> None:
    """The same into an open file that is empty."""
    adata.strings_to_categoricals()
    file.attrs.update({"encoding-type": "anndata", "encoding-version": "0.1.0"})
    more = {"compression": compression} if compression else {}
    for name in ("X", "obs", "var", "obsm", "varm", "obsp", "varp", "layers", "uns"):
        value = getattr(adata, name)
        if value is not None:
            ad.io.write_elem(file, name, dict(value) if isinstance(value, Mapping) else value, dataset_kwargs=more)
