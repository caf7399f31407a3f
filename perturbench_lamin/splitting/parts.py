"""What a split must have: perturbed cells to train on, to validate on and to test on."""

from __future__ import annotations

from collections.abc import Iterable

from perturbench_lamin.contracts import SPLIT_NAMES
from perturbench_lamin.errors import InputError


def require_parts(parts: Iterable[str], *, where: str, fix: str) -> None:
    """Check that train, val and test each occur.

    Args:
        parts: those of the perturbed cells, or of their conditions.
        where: the parameters that decide it, for the message.
        fix: what can be done.

    Raises:
        InputError: one does not.
    """
    missing = sorted(set(SPLIT_NAMES) - set(parts), key=SPLIT_NAMES.index)
    if missing:
        raise InputError(f"No perturbed cell is in {' or '.join(missing)}", where=where, fix=fix)
