"""Differentially expressed genes: Welch's t-test of each condition against its state's controls, from sums."""

from __future__ import annotations

import numpy as np

EPSILON = float(np.finfo(np.float64).eps)


def moments(sums: np.ndarray, cells: int) -> tuple[np.ndarray, np.ndarray]:
    """Mean and unbiased variance of log1p values.

    Args:
        sums: (genes, 2) sum and sum of squares.
        cells: the number of cells, at least 2.

    Returns:
        Both (genes,). A variance below the rounding error of its sums is zero: all cells have one value.
    """
    mean, square = sums[:, 0] / cells, sums[:, 1] / cells
    variance = square - mean**2
    variance[variance <= 4 * cells * EPSILON * square] = 0
    return mean, variance * (cells / (cells - 1))


def welch_t(
    group: tuple[np.ndarray, np.ndarray], cells: int, control: tuple[np.ndarray, np.ndarray], controls: int
) -> np.ndarray:
    """Welch's t of a group against the controls (Welch 1947, Biometrika 34:28).

    Args:
        group: its mean and variance.
        cells: its number of cells.
        control: mean and variance of the controls.
        controls: their number.

    Returns:
        (genes,) t; 0 where neither mean nor variance differs from nothing, infinite where the two groups
        have one value each and these differ.
    """
    difference = group[0] - control[0]
    error = np.sqrt(group[1] / cells + control[1] / controls)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where((difference == 0) & (error == 0), 0.0, difference / error)


def top_genes(scores: np.ndarray, n_top: int) -> np.ndarray:
    """The genes with the largest |t|, best first.

    Scores are compared as float32, the precision of the expression values: genes that differ by less are
    tied, and ties go by gene order. Genes with t = 0 are never chosen.

    Args:
        scores: (genes,) t.
        n_top: how many at most.

    Returns:
        Up to ``n_top`` gene numbers.
    """
    size = np.abs(scores).astype(np.float32)
    n_top = min(n_top, int(np.count_nonzero(size)))
    if n_top == 0:
        return np.zeros(0, dtype=np.int64)
    least = np.partition(size, len(size) - n_top)[len(size) - n_top]
    candidates = np.flatnonzero(size >= least)
    return candidates[np.argsort(-size[candidates], kind="stable")][:n_top]
