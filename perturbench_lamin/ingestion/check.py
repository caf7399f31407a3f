"""Is a raw file whole? Quick checks that need no checksum."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable
from pathlib import Path

from perturbench_lamin.errors import IntegrityError
from perturbench_lamin.storage.anndata_file import AnnDataFile

READ_BYTES = 1 << 22
H5AD_PARTS = ("X", "obs", "var")
GZIP_MAGIC = b"\x1f\x8b"


def check_file(path: str | Path) -> None:
    """Check by the name: ``.h5ad`` and ``.h5`` are opened, ``.gz`` and gzipped ``.rds`` read to the end.

    Other files are not checked.

    Raises:
        IntegrityError: the file is truncated or corrupt, or not what its name says.
    """
    path = Path(path)
    check = CHECKS.get(path.suffix.lower())
    if check:
        check(path)


def check_h5ad(path: Path) -> None:
    """Check that an HDF5 file opens, is whole in itself and has the parts of an AnnData file."""
    with AnnDataFile(path) as file:
        file.require(*H5AD_PARTS)


def check_hdf5(path: Path) -> None:
    """Check that an HDF5 file opens and is whole in itself."""
    AnnDataFile(path).close()


def check_gzip(path: Path) -> None:
    """Check a gzip file by reading it to its end, where its checksum stands."""
    try:
        with gzip.open(path, "rb") as stream:
            while stream.read(READ_BYTES):
                pass
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise IntegrityError(
            f"Truncated or corrupt gzip file: {error}", where=path, fix="Remove it and fetch it again."
        ) from error


def check_rds(path: Path) -> None:
    """Check an RDS file: its compression, or that it begins as one."""
    with path.open("rb") as stream:
        start = stream.read(2)
    if start == GZIP_MAGIC:
        check_gzip(path)
    elif start not in (b"X\n", b"B\n", b"A\n", b"BZ", b"\xfd7"):
        raise IntegrityError(f"Not an RDS file: it begins with {start!r}", where=path)


CHECKS: dict[str, Callable[[Path], object]] = {
    ".h5ad": check_h5ad,
    ".h5": check_hdf5,
    ".gz": check_gzip,
    ".rds": check_rds,
}
