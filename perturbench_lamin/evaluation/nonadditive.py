"""Non-additive effects of pairs: which genes depart from the sum of the two single effects (Ahlmann-Eltze et al. 2025).

δ = μ_AB − (μ_A + μ_B − μ_c). A gene of a pair is truly non-additive where |δ| passes the threshold that an empirical
null gives at a local false discovery rate of 0.05. The predicted δ̂ uses the *true* singles, and genes are ranked by
|δ̂|. A model of no change is the baseline to beat.
"""

from __future__ import annotations

import numpy as np
from scipy import stats

LOCAL_FDR = 0.05
BIN = 0.1
"""Width of the bins of |z| that the density is counted in."""


def threshold(deviations: np.ndarray, local_fdr: float = LOCAL_FDR) -> float:
    """The |δ − median| from which on effects are non-additive.

    The null is normal with the median and 1.4826 × the median absolute deviation of all values (Efron 2004: the bulk
    is null). Where more than half of the values are equal, that deviation is 0 and there is no null. The local false
    discovery rate of a bin of |z| is its expected number of null values over the observed one; the threshold is the
    lower edge of the first bin from which on it stays at or below ``local_fdr``.

    Returns:
        infinity where no value passes; NaN where there is no null.
    """
    scale = stats.median_abs_deviation(deviations, scale="normal")
    if scale == 0:
        return float("nan")
    z = np.abs(deviations - np.median(deviations)) / scale
    edges = np.arange(0.0, z.max() + 2 * BIN, BIN)
    observed, _ = np.histogram(z, edges)
    expected = len(z) * 2 * np.diff(stats.norm.cdf(edges))
    null = expected > local_fdr * observed
    null &= ~((observed == 0) & (expected < local_fdr))  # an empty bin in the far tail says nothing
    last = np.flatnonzero(null)
    start = edges[last[-1] + 1] if len(last) else 0.0
    return float(start * scale) if (z >= start).any() else float("inf")


def departures(
    truth: np.ndarray, prediction: np.ndarray, additive: np.ndarray, expressed: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Which pairs can be judged, and their true and predicted departures from additivity.

    No pair can be where :func:`threshold` has no null.

    Args:
        truth: means, conditions × genes.
        prediction: the same conditions.
        additive: μ_A + μ_B − μ_c from the true singles; NaN rows for conditions without.
        expressed: the genes to judge by, conditions × genes, one and the same row.

    Returns:
        rows of the pairs; whether each gene of each is truly non-additive; the predicted |δ̂|.
    """
    pairs = np.flatnonzero(~np.isnan(additive).any(axis=1))
    genes = expressed[0] if len(expressed) else np.zeros(0, dtype=bool)
    true, predicted = ((side[pairs] - additive[pairs])[:, genes] for side in (truth, prediction))
    if true.size == 0 or np.isnan(limit := threshold(true.ravel())):
        return pairs[:0], np.zeros((0, true.shape[1]), dtype=bool), np.abs(predicted[:0])
    return pairs, np.abs(true - np.median(true)) >= limit, np.abs(predicted)


def nonadditive_recall(
    truth: np.ndarray, prediction: np.ndarray, additive: np.ndarray, expressed: np.ndarray
) -> np.ndarray:
    """Share of a pair's m truly non-additive genes that are among the m largest |δ̂|; NaN without any."""
    pairs, labels, sizes = departures(truth, prediction, additive, expressed)
    found = np.full(len(truth), np.nan)
    for row, label, size in zip(pairs, labels, sizes, strict=True):
        m = int(label.sum())
        if m:
            found[row] = label[np.argsort(-size, kind="stable")[:m]].mean()
    return found


def nonadditive_auprc(
    truth: np.ndarray, prediction: np.ndarray, additive: np.ndarray, expressed: np.ndarray
) -> np.ndarray:
    """Area under the precision-recall curve of |δ̂| over all genes of all pairs of the covariate state: (1,)."""
    from sklearn.metrics import average_precision_score

    _, labels, sizes = departures(truth, prediction, additive, expressed)
    if labels.all() or not labels.any():
        return np.array([np.nan])
    return np.array([average_precision_score(labels.ravel(), sizes.ravel())])
