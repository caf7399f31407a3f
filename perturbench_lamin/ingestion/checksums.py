"""Which bytes a raw file must have: the catalog's checksum, or the one of the first download.

Where the catalog knows none, the first fetch writes the file's SHA-256 into ``checksums.json`` beside it (trust on
first use), and every later fetch into that folder must give the same bytes.
"""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path

from perturbench_lamin.catalog.dataset import RawFile
from perturbench_lamin.errors import InputError, IntegrityError
from perturbench_lamin.files import sha256, write_text
from perturbench_lamin.locks import locked
from perturbench_lamin.storage.plain_file import read_json

RECORD_NAME = "checksums.json"
SHA256 = re.compile("[0-9a-fA-F]{64}")


def verify(path: Path, raw_file: RawFile, folder: Path) -> bool:
    """Compare a file with the checksum it must have.

    Args:
        path: the file to look at; need not be in its place yet.
        raw_file: what it must be.
        folder: the folder that keeps the record of first downloads.

    Returns:
        Whether there was anything to compare with.

    Raises:
        IntegrityError: the size or the checksum differs; the message shows both.
    """
    if raw_file.size is not None and path.stat().st_size != raw_file.size:
        raise _differs(raw_file, "catalog", f"{raw_file.size:,} bytes", f"{path.stat().st_size:,} bytes")
    if raw_file.sha256 is not None:
        return _compare(raw_file, "catalog", "sha256", raw_file.sha256, sha256(path))
    if raw_file.md5 is not None:
        return _compare(raw_file, "catalog", "md5", raw_file.md5, _md5(path))
    recorded = read_record(folder).get(raw_file.name)
    if recorded is None:
        return False
    return _compare(raw_file, str(folder / RECORD_NAME), "sha256", recorded, sha256(path))


def record_first(path: Path, raw_file: RawFile, folder: Path) -> None:
    """Write a file's SHA-256 into the folder's record, if the record does not have one."""
    digest = sha256(path)
    with locked(folder / f".{RECORD_NAME}.lock"):  # downloads of other files write to the same record
        record = read_record(folder)
        if raw_file.name not in record:
            write_text(
                folder / RECORD_NAME, json.dumps({**record, raw_file.name: digest}, indent=2, sort_keys=True) + "\n"
            )


def read_record(folder: Path) -> dict[str, str]:
    """The record of first downloads, file name → SHA-256; empty where there is none.

    Raises:
        InputError: the record is not one.
    """
    path = folder / RECORD_NAME
    if not path.exists():
        return {}
    record = read_json(path)
    if not isinstance(record, dict):
        raise InputError("The record of checksums is not a table", where=path, fix="Correct or remove it.")
    for name, digest in record.items():
        if not isinstance(digest, str) or not SHA256.fullmatch(digest):
            raise InputError(
                f"The checksum of {name!r} is no SHA-256: {digest!r}", where=path, fix="Correct or remove the entry."
            )
    return record


def _compare(raw_file: RawFile, source: str, algorithm: str, expected: str, found: str) -> bool:
    if found != expected.lower():
        raise _differs(raw_file, source, f"{algorithm} {expected}", f"{algorithm} {found}")
    return True


def _differs(raw_file: RawFile, source: str, expected: str, found: str) -> IntegrityError:
    place = "the catalog's entry" if source == "catalog" else f"its entry in {source}"
    return IntegrityError(
        f"Not the file that is expected\n  expected {expected} ({source})\n  found    {found}",
        where=raw_file.name,
        fix=(
            f"It was corrupted or replaced by another version ({raw_file.url}). Remove it and fetch it again; "
            f"to accept the new version, change {place}."
        ),
    )


def _md5(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
