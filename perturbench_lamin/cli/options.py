"""Options whose values are NAME=VALUE."""

from __future__ import annotations

import json
from collections.abc import Iterable

from perturbench_lamin.errors import InputError


def assignments(given: Iterable[str], option: str) -> dict[str, object]:
    """Names and values; a value is read as JSON where it is JSON, else as text.

    Args:
        given: words such as ``degs=50``.
        option: the option they were given to, for the error message.

    Raises:
        InputError: a word has no ``=``.
    """
    values: dict[str, object] = {}
    for assignment in given:
        name, found, text = assignment.partition("=")
        if not found:
            raise InputError(f"Not NAME=VALUE: {assignment!r}", where=option, fix=f"For example {option} degs=50.")
        values[name] = _parsed(text)
    return values


def _parsed(text: str) -> object:
    try:
        return json.loads(text)
    except ValueError:
        return text
