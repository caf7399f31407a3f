"""How one matrix follows from the other: equal, within tolerance, up to one scale, or up to a scale of each cell."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from perturbench_lamin.comparison.kernels import CELL_SCALE, LOG_CELL_SCALE, NONE


@dataclass(frozen=True)
class RowCounts:
    """What :func:`perturbench_lamin.comparison.kernels.compare_rows` found, for all rows.

    Attributes:
        counts: cells × 7.
        scales: cells × 2.
    """

    counts: np.ndarray
    scales: np.ndarray

    @property
    def filled(self) -> np.ndarray:
        """(cells,) bool: rows with a value that is not 0 in both."""
        return self.counts[:, 0] > 0


@dataclass(frozen=True)
class Relation:
    """A relation between two matrices.

    Attributes:
        kind: ``equal``, ``tolerance``, ``scale``, ``cell scale`` or ``log1p of a cell scale``.
        formula: the kernel's number of it.
        scale: (cells,) float64, the factor of each row.
        unlike: (cells,) bool, the rows that do not follow it.
    """

    kind: str
    formula: int
    scale: np.ndarray
    unlike: np.ndarray


def find_relation(rows: RowCounts, rtol: float) -> Relation:
    """The strictest relation that holds in at least half of the rows that can tell; else plain equality.

    A scale of each cell fits any row with one value, so that only rows with two or more count for it. A row that
    deviates from what most rows follow is a difference, not a scale of its own.

    Args:
        rows: counts and scales.
        rtol: how much the scales of rows may differ to be called one.
    """
    equal = _equality(rows)
    if _holds(equal, rows.filled):
        return equal
    telling = rows.filled & (rows.counts[:, 5] >= 2)
    for relation, voters in (
        (_one_scale(rows, rtol), rows.filled),
        (_cell_scale(rows, CELL_SCALE), telling),
        (_cell_scale(rows, LOG_CELL_SCALE), telling),
    ):
        if voters.any() and _holds(relation, voters):
            return relation
    return equal


def _holds(relation: Relation, voters: np.ndarray) -> bool:
    return not voters.any() or float(relation.unlike[voters].mean()) <= 0.5


def _equality(rows: RowCounts) -> Relation:
    ones = np.ones(len(rows.counts))
    if not rows.counts[:, 1].any():
        return Relation("equal", NONE, ones, np.zeros(len(ones), dtype=bool))
    return Relation("tolerance", NONE, ones, rows.counts[:, 2] > 0)


def _one_scale(rows: RowCounts, rtol: float) -> Relation:
    scales = rows.scales[:, 0]
    known = scales[np.isfinite(scales) & (scales > 0)]
    scale = float(np.median(known)) if len(known) else np.nan
    with np.errstate(invalid="ignore"):
        apart = ~(np.abs(scales - scale) <= 2 * rtol * abs(scale))
    unlike = rows.filled & (apart | (rows.counts[:, 3] > 0))
    return Relation("scale", CELL_SCALE, np.full(len(scales), scale), unlike)


def _cell_scale(rows: RowCounts, formula: int) -> Relation:
    scales = rows.scales[:, formula - 1]
    kind = "cell scale" if formula == CELL_SCALE else "log1p of a cell scale"
    return Relation(kind, formula, np.where(np.isfinite(scales), scales, 1.0), rows.counts[:, 2 + formula] > 0)
