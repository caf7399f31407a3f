"""Means and variances of expression per group of cells, in one pass over CSR, CSC or dense, in memory or on disk."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from perturbench_lamin.errors import InputError
from perturbench_lamin.evaluation.cells import Cells
from perturbench_lamin.evaluation.sums import add_columns, add_rows

ROUNDING = 1e-14
"""A variance below this share of the mean square is rounding error of Σx²/n − mean², and 0."""


@dataclass(frozen=True)
class Moments:
    """Sufficient statistics of groups of cells.

    Attributes:
        counts: cells of each group, (groups,).
        means: mean expression, (groups × genes), float64.
        variances: sample variance (ddof 1), NaN for groups of one cell; None where it was not asked for.
    """

    counts: np.ndarray
    means: np.ndarray
    variances: np.ndarray | None = None

    def take(self, rows: np.ndarray | list[int], columns: np.ndarray | None = None) -> Moments:
        """The statistics of some groups, and of some genes in another order."""
        genes = slice(None) if columns is None else columns
        variances = None if self.variances is None else self.variances[rows][:, genes]
        return Moments(self.counts[rows], self.means[rows][:, genes], variances)


def aggregate(
    cells: Cells,
    codes: np.ndarray,
    n_groups: int,
    *,
    variances: bool = False,
    inspect: Callable[[Any], None] | None = None,
) -> Moments:
    """Mean, and optionally variance, of every gene in every group of cells.

    Args:
        cells: log1p expression.
        codes: each cell's group, 0 to ``n_groups`` − 1; −1 for cells to leave out.
        n_groups: number of groups.
        variances: whether to compute variances too.
        inspect: called with every block that is read.

    Raises:
        InputError: a value is NaN or infinite.
    """
    shape = (n_groups, len(cells.genes))
    sums = np.zeros(shape)
    squares = np.zeros(shape) if variances else None
    for part, block in cells.column_blocks() if cells.is_csc else cells.row_blocks():
        if inspect is not None:
            inspect(block)
        if cells.is_csc:
            add_columns(block, codes, sums[:, part], None if squares is None else squares[:, part])
        else:
            add_rows(block, codes[part], sums, squares)
    if not np.isfinite(sums).all():
        raise _not_finite(cells)
    return _moments(np.bincount(codes[codes >= 0], minlength=n_groups), sums, squares)


def _moments(counts: np.ndarray, sums: np.ndarray, squares: np.ndarray | None) -> Moments:
    divisor = np.maximum(counts, 1)[:, None]
    means = sums / divisor
    if squares is None:
        return Moments(counts, means)
    mean_squares = squares / divisor
    spread = mean_squares - means**2
    spread[spread < ROUNDING * divisor * mean_squares] = 0.0
    with np.errstate(divide="ignore", invalid="ignore"):
        return Moments(counts, means, np.where(divisor > 1, spread * (divisor / (divisor - 1)), np.nan))


def _not_finite(cells: Cells) -> InputError:
    """The error that counts them; a second pass, made only then."""
    n_nan = n_inf = n_cells = 0
    for _, block in cells.row_blocks():
        values = getattr(block, "data", block) if hasattr(block, "indptr") else block
        n_nan += int(np.isnan(values).sum())
        n_inf += int(np.isinf(values).sum())
        with np.errstate(invalid="ignore"):  # inf − inf
            totals = np.asarray(block.sum(axis=1, dtype=np.float64)).ravel()
        n_cells += int((~np.isfinite(totals)).sum())
    return InputError(
        f"X has {n_nan:,} NaN and {n_inf:,} infinite values in {n_cells:,} cells",
        where=cells.where,
        fix="Fix the model or the file: a score over the remaining values would be another score.",
    )
