"""A study's journal that a kill or a full disk cannot spoil: a line is there whole, or not at all."""

from __future__ import annotations

import json
import os
import sys
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

from perturbench_lamin.errors import IntegrityError

CHECKSUM = "crc32"
"""The entry of a line that Optuna does not look at: the CRC-32 of the others."""

ANOTHER = "Put back a copy of it, or search in another folder."


class StudyJournal(JournalFileBackend):
    """Optuna's journal file, which repairs what an interrupted write leaves.

    Optuna appends behind half a line: the two become one that nobody can read, and the study is lost.

    Args:
        path: the file, made where there is none.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        super().__init__(str(path))
        with self._alone():
            dropped = drop_torn_line(path)
        if dropped:
            said = f"The last line of {path} was written by half ({dropped:,} bytes)"
            print(f"{said}: it is dropped, and what it said done again.", file=sys.stderr)

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        """Append lines with checksums, all of them or, on an error such as of a full disk, none."""
        text = "".join(_line({**log, CHECKSUM: _checksum(log)}) + "\n" for log in logs).encode()
        with self._alone():
            drop_torn_line(self._path)  # of a process that was killed since
            with self._path.open("ab", buffering=0) as file:
                size = file.tell()
                try:
                    while text:
                        text = text[file.write(text) or 0 :]
                    os.fsync(file.fileno())
                except BaseException:
                    file.truncate(size)
                    raise

    @contextmanager
    def _alone(self) -> Iterator[None]:
        self._lock.acquire()
        try:
            yield
        finally:
            self._lock.release()


def drop_torn_line(path: Path) -> int:
    """Cut what follows the last end of a line, and return how many bytes that was."""
    content = path.read_bytes()
    whole = content.rfind(b"\n") + 1
    if whole < len(content):
        os.truncate(path, whole)
    return len(content) - whole


def open_journal(path: Path) -> JournalStorage:
    """The storage of a journal file, made where there is none.

    Raises:
        IntegrityError: a line is damaged, or says what no study says.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    backend = StudyJournal(path)
    _require_whole(path)
    try:
        return JournalStorage(backend)
    except OSError:
        raise
    except Exception as error:  # what Optuna raises of entries that contradict each other depends on the entry
        first = next(iter(str(error).splitlines()), "")
        raise IntegrityError(
            f"The study's journal is damaged ({type(error).__name__}: {first})", where=path, fix=ANOTHER
        ) from error


def _require_whole(path: Path) -> None:
    """Check every line; those of a journal that an earlier version began have no checksums at first."""
    begun = False
    for number, line in enumerate(path.read_bytes().split(b"\n")[:-1], start=1):
        problem = _problem(line, begun)
        if problem:
            raise IntegrityError(
                f"The study's journal is damaged: {problem}", where=f"{path}, line {number}", fix=ANOTHER
            )
        begun = begun or CHECKSUM.encode() in line


def _problem(line: bytes, begun: bool) -> str:
    try:
        entry = json.loads(line)
    except (ValueError, RecursionError):
        return "not JSON"
    if not isinstance(entry, dict) or "op_code" not in entry:
        return "no entry of a study"
    if CHECKSUM not in entry:
        return "its checksum is missing" if begun else ""
    return "" if entry.pop(CHECKSUM) == _checksum(entry) else "it has another checksum"


def _line(entry: Mapping[str, Any]) -> str:
    return json.dumps(entry, separators=(",", ":"))


def _checksum(entry: Mapping[str, Any]) -> int:
    return zlib.crc32(_line(entry).encode())
