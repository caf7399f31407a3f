"""Is a raw file whole? Quick checks that need no checksum."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path

from perturbench_lamin.errors import IntegrityError

READ_BYTES = 1 << 22
HDF5_SIGNATURE = b"\x89HDF\r\n\x1a\n"
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


def check_h5ad(path: Path, parts: Sequence[str] = H5AD_PARTS) -> None:
    """Check that an HDF5 file opens and has the parts of an AnnData file."""
    present = _open_hdf5(path)
    missing = [part for part in parts if part not in present]
    if missing:
        raise IntegrityError(
            f"An h5ad file without {', '.join(missing)}",
            where=path,
            fix=f"It has {', '.join(sorted(present)) or 'nothing'}.",
        )


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


def _open_hdf5(path: Path) -> set[str]:
    import h5py

    with path.open("rb") as stream:
        start = stream.read(len(HDF5_SIGNATURE))
    if start != HDF5_SIGNATURE:
        raise IntegrityError(
            f"Not an HDF5 file: it begins with {start!r}",
            where=path,
            fix="A server's error page may have been saved in its place: remove it and fetch it again.",
        )
    try:
        with h5py.File(path, "r") as file:
            return set(file)
    except OSError as error:  # HDF5 compares the length it stored with the file's
        raise IntegrityError(
            f"Truncated or corrupt HDF5 file: {error}", where=path, fix="Remove it and fetch it again."
        ) from error


CHECKS: dict[str, Callable[[Path], object]] = {
    ".h5ad": check_h5ad,
    ".h5": _open_hdf5,
    ".gz": check_gzip,
    ".rds": check_rds,
}
