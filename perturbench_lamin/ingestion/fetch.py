"""Get a raw file: from a mirror folder, from an earlier fetch, or from its archive."""

from __future__ import annotations

import os
from pathlib import Path

from perturbench_lamin.catalog.dataset import RawFile
from perturbench_lamin.errors import InputError, IntegrityError, nearest
from perturbench_lamin.ingestion.check import check_file
from perturbench_lamin.ingestion.checksums import record_first, verify
from perturbench_lamin.ingestion.download import Patience, download, forget
from perturbench_lamin.locks import locked


def fetch(
    raw_file: RawFile,
    folder: str | Path,
    *,
    mirror: str | Path | None = None,
    progress: bool = True,
    patience: Patience | None = None,
) -> Path:
    """Return the path of a raw file, downloading it if need be.

    A download continues where an earlier one stopped, appears under its name only when it is whole and its checksum
    agrees, and happens once however many processes ask for it at the same time.

    Args:
        raw_file: the catalog's entry.
        folder: where downloads are kept.
        mirror: a folder of raw files, ``<mirror>/<dataset>/<file name>``. With one, the network is not used, nothing
            is copied, and the file there is taken as it is: a mirror may hold a subset or a simulation.
        progress: show a progress bar on standard error.
        patience: when to give up a download.

    Raises:
        InputError: the mirror lacks the file.
        DownloadError: the archive refuses, or the connection fails too often.
        IntegrityError: the file is truncated or corrupt, or another version than the catalog or the first download.
    """
    if mirror is not None:
        return _in_mirror(raw_file, Path(mirror))
    folder = Path(folder)
    target = folder / raw_file.name
    with locked(folder / f".{raw_file.name}.lock"):
        if target.exists():
            _accept(target, raw_file, folder)
        else:
            _download(raw_file, target, progress, patience)
    return target


def _in_mirror(raw_file: RawFile, mirror: Path) -> Path:
    path = mirror / raw_file.dataset / raw_file.name
    if path.is_file():
        return path
    present = sorted(entry.name for entry in path.parent.iterdir()) if path.parent.is_dir() else []
    found = nearest(raw_file.name, present) if present else f"There is no file in {path.parent}."
    raise InputError(
        f"The mirror has no {raw_file.name}",
        where=path,
        fix=f"{found} Put the file there, or leave the mirror out to download it from {raw_file.url}.",
    )


def _download(raw_file: RawFile, target: Path, progress: bool, patience: Patience | None) -> None:
    part = target.with_name(f".{target.name}.part")
    download(raw_file.url, part, patience=patience, expected_size=raw_file.size, progress=progress)
    whole = part.with_name(f".{target.name}")  # under a name with the right suffix, which the checks look at
    part.replace(whole)
    forget(part)
    try:
        _accept(whole, raw_file, target.parent)
    except IntegrityError as error:
        rejected = target.with_name(f"{target.name}.rejected")
        whole.replace(rejected)
        raise IntegrityError(error.what, where=rejected, fix=error.fix) from error
    _flush(whole)
    whole.replace(target)


def _accept(path: Path, raw_file: RawFile, folder: Path) -> None:
    """Check a file's bytes: against a checksum, or, the first time, for being whole."""
    if not verify(path, raw_file, folder):
        check_file(path)
        record_first(path, raw_file, folder)


def _flush(path: Path) -> None:
    with path.open("rb") as stream:
        os.fsync(stream.fileno())
