"""Highly variable genes, as Seurat v3 defines them (Stuart et al. 2019, Cell 177:1888), from sums alone.

For every batch (here: covariate state) a local regression of log10 variance on log10 mean gives each gene's
expected standard deviation; counts are clipped at mean + expected deviation × √cells; genes are ranked by the
variance of the standardised, clipped counts; batches are combined by the median rank among those that place
the gene in their top. Agrees with scanpy 1.11's ``flavor="seurat_v3"``.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Literal

import numpy as np

from perturbench_lamin.errors import InputError

SPANS = (0.3, 0.5, 0.75, 1.0)
"""The regression's span; a wider one is tried, and recorded, only where the regression fails on degenerate data."""


@dataclass(frozen=True)
class Trend:
    """The mean–variance trend of one batch.

    Attributes:
        cells: the number of cells.
        mean: (genes,) mean counts.
        deviation: (genes,) expected standard deviation.
        limit: (genes,) where counts are clipped.
        span: the span that the regression used.
    """

    cells: int
    mean: np.ndarray
    deviation: np.ndarray
    limit: np.ndarray
    span: float


def mean_variance(total: np.ndarray, squares: np.ndarray, cells: int) -> tuple[np.ndarray, np.ndarray]:
    """Mean and unbiased variance from sums over ``cells`` >= 2 cells."""
    mean = total / cells
    return mean, (squares / cells - mean**2) * (cells / (cells - 1))


def fit_trend(total: np.ndarray, squares: np.ndarray, cells: int, *, where: str) -> Trend:
    """Fit the trend of one batch.

    Args:
        total: (genes,) sum of counts.
        squares: (genes,) sum of squared counts.
        cells: the number of cells, at least 2.
        where: the batch, for messages.

    Raises:
        InputError: the regression fails at every span: too few genes vary.
    """
    mean, variance = mean_variance(total.astype(np.float64), squares.astype(np.float64), cells)
    varies = variance > 0
    expected = np.zeros(len(mean))
    fitted, span = _loess(np.log10(mean[varies]), np.log10(variance[varies]), where)
    expected[varies] = fitted
    deviation = np.sqrt(10**expected)
    return Trend(cells, mean, deviation, deviation * np.sqrt(cells) + mean, span)


def standardised_variance(trend: Trend, clipped: np.ndarray) -> np.ndarray:
    """The variance of the standardised counts.

    Args:
        trend: the batch's trend.
        clipped: (genes, 2) sum and sum of squares of the clipped counts.
    """
    spread = trend.cells * np.square(trend.mean) + clipped[:, 1] - 2 * clipped[:, 0] * trend.mean
    return (1 / ((trend.cells - 1) * np.square(trend.deviation))) * spread


def highly_variable(variances: np.ndarray, n_top: int, ties: str = "scanpy") -> np.ndarray:
    """Choose the ``n_top`` genes by median rank over batches, then by the number of batches, then by order.

    Args:
        variances: (batches, genes) standardised variances.
        n_top: how many genes; all are chosen where there are fewer.
        ties: how genes of equal variance in a batch are ranked: ``"order"``, by gene order; ``"scanpy"``, as
            scanpy does, as numpy's unstable sort leaves them on this processor. Seldom-expressed genes with
            the same counts are tied exactly, so that this does decide on genes at the cut.

    Returns:
        (genes,) boolean.
    """
    kind: Literal["stable", "quicksort"] = "stable" if ties == "order" else "quicksort"
    ranks = np.argsort(np.argsort(-variances, axis=1, kind=kind), axis=1, kind="stable").astype(np.float64)
    batches = (ranks < n_top).sum(axis=0)
    ranks[ranks >= n_top] = np.nan
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # a gene in no batch's top has no median: it sorts last
        median = np.nanmedian(ranks, axis=0)
    chosen = np.lexsort((-batches, median))[:n_top]
    mask = np.zeros(variances.shape[1], dtype=bool)
    mask[chosen] = True
    return mask


def _loess(x: np.ndarray, y: np.ndarray, where: str) -> tuple[np.ndarray, float]:
    from skmisc.loess import loess

    problem = "no gene varies"
    for span in SPANS if len(x) else ():
        model = loess(x, y, span=span, degree=2)
        try:
            model.fit()
        except ValueError as error:
            problem = str(error)
            continue
        if np.isfinite(model.outputs.fitted_values).all():
            return model.outputs.fitted_values, span
    raise InputError(
        f"The mean–variance regression of {len(x):,} genes fails: {problem}",
        where=where,
        fix="Merge this covariate state with another, remove it, or ask for no highly variable genes (0).",
    )
