"""Errors that say what is wrong, where, and what to do about it."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class PerturbenchError(Exception):
    """Base of every error this package raises on purpose.

    Args:
        what: what is wrong, in one sentence.
        where: the file, column or argument it is about.
        fix: what the reader can do.
    """

    def __init__(self, what: str, *, where: object = None, fix: str | None = None) -> None:
        self.what, self.where, self.fix = what, where, fix
        place = f" [{where}]" if where is not None else ""
        advice = f"\n  {fix}" if fix else ""
        super().__init__(f"{what}{place}{advice}")


class InputError(PerturbenchError, ValueError):
    """A file, table or argument is not what it must be."""


class IntegrityError(PerturbenchError):
    """A file is truncated, corrupt, or another one than expected."""


class ChainError(PerturbenchError):
    """A step of a chain failed or cannot run."""


def nearest(word: str, choices: Iterable[object], n: int = 3) -> str:
    """A sentence naming the choices most like ``word``, for an error's ``fix``."""
    known = [str(choice) for choice in choices]
    close = difflib.get_close_matches(str(word), known, n=n, cutoff=0.5)
    if close:
        return f"Did you mean {' or '.join(map(visible, close))}?"
    return f"Known: {some(map(visible, known)) or 'none'}."


def visible(name: str) -> str:
    """The name as a message shows it: quoted where it has spaces or characters that nobody would see."""
    return name if name.isprintable() and name.split() == [name] else repr(name)


def some(items: Iterable[object], n: int = 8) -> str:
    """The first ``n`` items, and how many more there are."""
    listed = [str(item) for item in items]
    rest = f" … and {len(listed) - n:,} more" if len(listed) > n else ""
    return ", ".join(listed[:n]) + rest


def are(n: int, noun: str) -> str:
    """As :func:`many`, with the verb: ``1 model is`` and ``3 models are``."""
    return f"{many(n, noun)} {'is' if n == 1 else 'are'}"


def many(n: int, noun: str) -> str:
    """How many there are, such as ``1 model`` and ``3 models``."""
    return f"{n:,} {noun}" if n == 1 else f"{n:,} {noun}s"
