"""What a person is told of an error: what, where and what to do, whatever failed."""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from perturbench_lamin.cli.command import READ
from perturbench_lamin.errors import PerturbenchError

LENGTH = 300
"""Characters of a foreign message that are shown; ``--debug`` shows all."""

FULL = "The disk is full", "Free some space and call again: no half-written file was left under its name."
NUMBERS: Mapping[int, tuple[str, str]] = {
    errno.ENOSPC: FULL,
    errno.EDQUOT: ("The quota of the disk is used up", FULL[1]),
    errno.EFBIG: (
        "A file grows beyond what is allowed",
        "Raise the limit (ulimit -f), or write to another file system.",
    ),
    errno.EROFS: ("The file system can only be read", "Name a place that can be written to."),
    errno.EACCES: ("No permission", "Change the permissions, or name another place."),
    errno.EPERM: ("Not permitted", "Change the permissions, or name another place."),
    errno.EMFILE: ("Too many open files", "Raise the limit (ulimit -n) and call again."),
    errno.ENFILE: ("Too many open files on this machine", "Close other programs and call again."),
    errno.EIO: ("The disk fails", "Check the disk, and copy the files to another one."),
    errno.ENOENT: ("No such file or folder", "Check the name."),
    errno.ENAMETOOLONG: ("The name is too long", "Give a shorter one."),
    errno.EADDRINUSE: ("The port is in use", "Give another one with --port, or none."),
    errno.ENOMEM: ("Memory ran out", "Close other programs, or use a machine with more memory."),
}
MEMORY = NUMBERS[errno.ENOMEM]

OF_THE_MACHINE = [
    MEMORY,
    *(NUMBERS[number] for number in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EROFS)),
]
"""What explains an error that came of it, too; other errors may have been got over."""

HDF5_NUMBER = re.compile(r"errno = (\d+)")
"""How HDF5 tells the number of an error of the system, in the middle of its own words."""

WORDS: tuple[tuple[re.Pattern[str], tuple[str, str]], ...] = (
    (re.compile("database or disk is full"), FULL),
    (re.compile("readonly database"), NUMBERS[errno.EROFS]),
    (re.compile("disk I/O error"), NUMBERS[errno.EIO]),
    (
        re.compile("database is locked"),
        ("Another process writes to the database", "Wait until it is done, and call again."),
    ),
    (re.compile("can't allocate memory|not enough memory|out of memory|[Uu]nable to allocate"), MEMORY),
)
"""Errors of SQLite and of torch, known by their words alone."""

KINDS: tuple[tuple[type[BaseException], tuple[str, str]], ...] = (
    (MemoryError, MEMORY),
    (RecursionError, ("Too deeply nested", "Check the file that was read: it is damaged, or not of this kind.")),
    (UnicodeError, ("Not text in UTF-8", "Save the file as UTF-8.")),
    (ImportError, ("A package is missing or broken", "Install it into this environment.")),
    (EOFError, ("A file ends too early", "Get it again: it is not whole.")),
)
UNFORESEEN = "Check what was given. With --debug before the verb the traceback is shown, for a report of the fault."


def told(error: BaseException) -> str:
    """What is wrong, where, and what to do; a line each for the error and the advice."""
    if isinstance(error, PerturbenchError):
        return str(error)
    for cause in _causes(error):
        known = _known(cause)
        if known and (cause is error or known in OF_THE_MACHINE):
            what, advice = known
            return str(PerturbenchError(f"{what}{_detail(cause, what)}", where=_where(cause, error), fix=advice))
    return str(
        PerturbenchError(f"{type(error).__name__}: {_first_line(error)}", where=_where(error, error), fix=UNFORESEEN)
    )


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The error and those that it came of: what a package raises on its way may hide what happened."""
    seen: set[int] = set()
    current: BaseException | None = error
    while current is not None and id(current) not in seen:
        seen.add(id(current))
        yield current
        current = current.__cause__ or current.__context__


def _known(error: BaseException) -> tuple[str, str] | None:
    number = error.errno if isinstance(error, OSError) else None
    if number is None and (found := HDF5_NUMBER.search(str(error))):
        number = int(found[1])
    if number is not None and number in NUMBERS:
        return NUMBERS[number]
    by_kind = (words for kind, words in KINDS if isinstance(error, kind))
    by_words = (words for pattern, words in WORDS if pattern.search(str(error)))
    return next(by_kind, None) or next(by_words, None)


def _detail(error: BaseException, what: str) -> str:
    """What the error itself says, where that says more."""
    if isinstance(error, OSError) or not str(error) or what == FULL[0]:
        return ""
    return f": {_first_line(error)}"


def _where(cause: BaseException, error: BaseException) -> str | None:
    """The file that the system names, or those that the verb read."""
    name = getattr(cause, "filename", None)
    if name is not None and not isinstance(name, int):
        path = Path(os.fsdecode(name))
        return str(path.parent if ".part" in path.suffixes else path)  # of an atomic write, which has no such name
    notes = (note.removeprefix(READ) for note in getattr(error, "__notes__", ()) if note.startswith(READ))
    return next((note for note in notes if note), None)


def _first_line(error: BaseException) -> str:
    """The first line of a message, without what a terminal would act on; … where there is more."""
    lines = str(error).strip().splitlines() or [""]
    line = "".join(sign if sign.isprintable() else " " for sign in lines[0]).strip()
    return line if len(lines) == 1 and len(line) <= LENGTH else f"{line[:LENGTH]} …"
