"""Metrics weighted by how much each gene responds (Miller et al. 2025): errors on the genes that matter."""

from __future__ import annotations

import numpy as np
from scipy import stats

from perturbench_lamin.evaluation.aggregate import Moments


def response_weights(everyone: Moments) -> np.ndarray:
    """Each gene's weight in each condition, w = ((|s| − min |s|) / (max |s| − min |s|))².

    s is the t statistic, with overestimated variance, of the condition's cells against all other *perturbed* cells
    of the covariate state, so that what every perturbation does weighs little.

    Args:
        everyone: all perturbed conditions of the state, with variances.

    Where s is undefined, of a gene that varies in neither, it counts as 0, as in scanpy, whose scores the paper takes:
    such a gene is then the least.

    Returns:
        conditions × genes, in [0, 1]; 0 for a condition whose s is undefined for every gene.
    """
    scores = np.abs(rest_scores(everyone))
    scores = np.where(np.isfinite(scores), scores, 0.0)
    low, high = (f(scores, axis=1, keepdims=True) for f in (np.min, np.max))
    weights: np.ndarray = ((scores - low) / np.where(high > low, high - low, 1.0)) ** 2
    return weights


def rest_scores(everyone: Moments) -> np.ndarray:
    """t of each condition against all other conditions' cells; their number is set to the condition's own."""
    return _rest_test(everyone)[0]


def rest_p_values(everyone: Moments) -> np.ndarray:
    """Two-sided p-values of :func:`rest_scores`, with Welch's degrees of freedom; 1 without any variance, NaN
    where they are undefined."""
    scores, own, other = _rest_test(everyone)
    n = everyone.counts[:, None].astype(np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        freedom = (own + other) ** 2 * (n - 1) / (own**2 + other**2)
    p = 2 * stats.t.sf(np.abs(scores), freedom)
    return np.where(own + other == 0, 1.0, p)


def _rest_test(everyone: Moments) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """t, and the two squared standard errors: conditions × genes each."""
    assert everyone.variances is not None
    n = everyone.counts[:, None].astype(np.float64)
    sums = n * everyone.means
    squares = np.where(n > 1, everyone.variances * (n - 1), 0.0) + n * everyone.means**2
    rest = np.where(n.sum() - n > 1, n.sum() - n, np.nan)
    rest_mean = (sums.sum(axis=0) - sums) / rest
    rest_variance = np.maximum((squares.sum(axis=0) - squares) - rest * rest_mean**2, 0.0) / (rest - 1)
    own, other = everyone.variances / n, rest_variance / n
    error = np.sqrt(own + other)
    return (everyone.means - rest_mean) / np.where(error == 0, np.nan, error), own, other


def wmse(truth: np.ndarray, prediction: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Σ_g w_g (μ̂_g − μ_g)² / Σ_g w_g; NaN where no gene has a weight."""
    return _mean((prediction - truth) ** 2, weights)


def wr2(truth: np.ndarray, prediction: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """1 − Σ w (δ − δ̂)² / Σ w (δ − δ̄_w)²; NaN where the weighted truth does not vary."""
    centre = _mean(truth, weights)[:, None]
    spread = np.sum(weights * (truth - centre) ** 2, axis=1)
    return 1.0 - np.sum(weights * (prediction - truth) ** 2, axis=1) / np.where(spread == 0, np.nan, spread)


def _mean(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    total = weights.sum(axis=1)
    return np.sum(weights * values, axis=1) / np.where(total == 0, np.nan, total)
