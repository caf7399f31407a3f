"""Is a raw file whole? Quick checks that need no checksum."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from perturbench_lamin.errors import IntegrityError
from perturbench_lamin.storage.anndata_file import AnnDataFile
from perturbench_lamin.storage.compressed import damage_named, opener

READ_BYTES = 1 << 22
H5AD_PARTS = ("X", "obs", "var")


def check_file(path: str | Path) -> None:
    """Check by the name: ``.h5ad`` and ``.h5`` are opened, ``.gz`` and compressed ``.rds`` read to the end.

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


def check_compressed(path: Path) -> None:
    """Check a compressed file by reading it to its end, where its checksum stands."""
    with path.open("rb") as file, damage_named(path):
        opens = opener(file.read(8))
        file.seek(0)
        if opens is None:
            raise IntegrityError("Not a compressed file", where=path, fix="Remove it and fetch it again.")
        with opens(file) as stream:
            while stream.read(READ_BYTES):
                pass


def check_rds(path: Path) -> None:
    """Check an RDS file: its compression, or that it begins as one."""
    with path.open("rb") as stream:
        start = stream.read(8)
    if opener(start):
        check_compressed(path)
    elif start[:2] not in (b"X\n", b"B\n", b"A\n"):
        raise IntegrityError(f"Not an RDS file: it begins with {start[:2]!r}", where=path)


CHECKS: dict[str, Callable[[Path], object]] = {
    ".h5ad": check_h5ad,
    ".h5": check_hdf5,
    ".gz": check_compressed,
    ".rds": check_rds,
}
