"""R's alternative representations (ALTREP, since R 3.5) made plain: sequences, number labels, wrapped vectors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from perturbench_lamin.errors import InputError, IntegrityError
from perturbench_lamin.ingestion.r_objects import NA_INTEGER, RObject

LONGEST = 1 << 26
"""Numbers of a sequence that stands for itself: more than any table of cells has rows."""


def expand(info: RObject, state: Any, *, where: object = None) -> RObject:
    """The plain vector that an alternative representation stands for.

    Args:
        info: the pairlist of its class, package and type.
        state: what the class saved.
        where: what errors name.

    Raises:
        InputError: a class that this package does not know.
    """
    name = str(info.value[0][1].value)
    build = REPRESENTATIONS.get(name)
    built = build(state) if build else None
    if built is None:
        raise InputError(
            f"Vectors in R's representation {name!r} cannot be read",
            where=where,
            fix="In R, save the object with saveRDS(x, file, version = 2), which writes plain vectors.",
        )
    return built


def _parts(state: RObject) -> list[Any]:
    return [item for _, item in state.value] if state.kind == "pairlist" else list(state.value)


def _integers(state: RObject) -> RObject:
    n, start, step = (int(number) for number in state.value)
    return RObject("integer", start + step * np.arange(_counted(n), dtype=np.int32))


def _doubles(state: RObject) -> RObject:
    n, start, step = state.value
    return RObject("double", start + step * np.arange(_counted(int(n)), dtype=np.float64))


def _counted(n: int) -> int:
    """The length of a sequence, of which a file holds no more than that: it may be made large at no cost."""
    if not 0 <= n <= LONGEST:
        raise IntegrityError(f"A sequence of {n:,} numbers", fix=f"At most {LONGEST:,} are made.")
    return n


def _labels(state: RObject) -> RObject | None:
    numbers = _parts(state)[0]
    if numbers.kind != "integer":  # how R prints a double depends on its options
        return None
    return RObject("character", [None if number == NA_INTEGER else str(number) for number in numbers.value])


def _wrapped(state: RObject) -> RObject:
    inner = _parts(state)[0]
    return RObject(inner.kind, inner.value)


REPRESENTATIONS: dict[str, Callable[[RObject], RObject | None]] = {
    "compact_intseq": _integers,
    "compact_realseq": _doubles,
    "deferred_string": _labels,
    **{f"wrap_{kind}": _wrapped for kind in ("integer", "real", "string", "logical", "complex", "raw", "list")},
}
