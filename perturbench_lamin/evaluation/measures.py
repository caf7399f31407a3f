"""Measures between rows: truth and prediction, one row per condition. Arguments come in this order, always.

Each measure is a pair of functions: one scores row i of the prediction against row i of the truth, the other
(``*_pairs``) every prediction i against every truth j. What is undefined (a correlation with a constant row) is NaN.
"""

from __future__ import annotations

import numpy as np

from perturbench_lamin.evaluation.pairwise import absolute_differences, products, squared_differences


def mse(truth: np.ndarray, prediction: np.ndarray) -> np.ndarray:
    """Mean squared error, (1/G) Σ_g (μ̂_g − μ_g)²."""
    return np.mean((prediction - truth) ** 2, axis=1)


def mse_pairs(truth: np.ndarray, prediction: np.ndarray) -> np.ndarray:
    """:func:`mse` of all pairs."""
    return squared_differences(prediction, truth) / truth.shape[1]


def rmse(truth: np.ndarray, prediction: np.ndarray) -> np.ndarray:
    """Root of :func:`mse`."""
    return np.sqrt(mse(truth, prediction))


def rmse_pairs(truth: np.ndarray, prediction: np.ndarray) -> np.ndarray:
    """:func:`rmse` of all pairs."""
    return np.sqrt(mse_pairs(truth, prediction))


def l2(truth: np.ndarray, prediction: np.ndarray) -> np.ndarray:
    """Euclidean distance, √(Σ_g (μ̂_g − μ_g)²)."""
    return np.sqrt(np.sum((prediction - truth) ** 2, axis=1))


def l2_pairs(truth: np.ndarray, prediction: np.ndarray) -> np.ndarray:
    """:func:`l2` of all pairs."""
    return np.sqrt(squared_differences(prediction, truth))


def mae(truth: np.ndarray, prediction: np.ndarray) -> np.ndarray:
    """Mean absolute error, (1/G) Σ_g |μ̂_g − μ_g|."""
    return np.mean(np.abs(prediction - truth), axis=1)


def mae_pairs(truth: np.ndarray, prediction: np.ndarray) -> np.ndarray:
    """:func:`mae` of all pairs."""
    return absolute_differences(prediction, truth) / truth.shape[1]


def r2(truth: np.ndarray, prediction: np.ndarray) -> np.ndarray:
    """Coefficient of determination over genes, 1 − Σ(μ − μ̂)² / Σ(μ − mean(μ))²; NaN where μ is constant."""
    return 1.0 - _ratio(np.sum((prediction - truth) ** 2, axis=1), _spread(truth))


def r2_pairs(truth: np.ndarray, prediction: np.ndarray) -> np.ndarray:
    """:func:`r2` of all pairs."""
    return 1.0 - _ratio(squared_differences(prediction, truth), _spread(truth)[None, :])


def r2_swapped(truth: np.ndarray, prediction: np.ndarray) -> np.ndarray:
    """:func:`r2` with the prediction taken for the truth, as PerturBench's public code calls it."""
    return r2(prediction, truth)


def r2_swapped_pairs(truth: np.ndarray, prediction: np.ndarray) -> np.ndarray:
    """:func:`r2_swapped` of all pairs."""
    return r2_pairs(prediction, truth).T


def cosine(truth: np.ndarray, prediction: np.ndarray) -> np.ndarray:
    """Cosine similarity, x·y / (‖x‖ ‖y‖); NaN where one of them is zero."""
    return _ratio(_dot(truth, prediction), np.sqrt(_dot(truth, truth) * _dot(prediction, prediction)))


def cosine_pairs(truth: np.ndarray, prediction: np.ndarray) -> np.ndarray:
    """:func:`cosine` of all pairs."""
    norms = np.sqrt(np.outer(_dot(prediction, prediction), _dot(truth, truth)))
    return _ratio(products(prediction, truth), norms)


def pearson(truth: np.ndarray, prediction: np.ndarray) -> np.ndarray:
    """Pearson correlation over genes; NaN where one of the rows is constant."""
    return cosine(_centred(truth), _centred(prediction))


def pearson_pairs(truth: np.ndarray, prediction: np.ndarray) -> np.ndarray:
    """:func:`pearson` of all pairs."""
    return cosine_pairs(_centred(truth), _centred(prediction))


def top_k_recall(truth: np.ndarray, prediction: np.ndarray, top_k: int) -> np.ndarray:
    """Share of the ``top_k`` genes by |score| in the truth that are among those of the prediction.

    Equal scores keep the genes' order by name; ``top_k`` is at most the number of genes. NaN where a score is.
    """
    k = min(top_k, truth.shape[1])
    undefined = np.isnan(truth).any(axis=1) | np.isnan(prediction).any(axis=1)
    shared = (_is_top(truth, k) & _is_top(prediction, k)).sum(axis=1) / k
    return np.where(undefined, np.nan, shared)


def centroid_accuracy(truth: np.ndarray, prediction: np.ndarray) -> np.ndarray:
    """Share of the other truths that are farther from prediction i than truth i is (Systema, 2025).

    Strict: a truth at the same distance is not farther. NaN where there is one condition only.
    """
    distances = squared_differences(prediction, truth)
    if len(truth) < 2:
        return np.full(len(truth), np.nan)
    return (distances > np.diag(distances)[:, None]).sum(axis=1) / (len(truth) - 1)


def pearson_over_conditions(truth: np.ndarray, prediction: np.ndarray) -> np.ndarray:
    """Pearson correlation of one number a condition, over conditions: (1,)."""
    return pearson(truth[None, :], prediction[None, :])


def _is_top(scores: np.ndarray, k: int) -> np.ndarray:
    top = np.argsort(-np.abs(scores), axis=1, kind="stable")[:, :k]
    chosen = np.zeros(scores.shape, dtype=bool)
    np.put_along_axis(chosen, top, True, axis=1)
    return chosen


def _dot(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.sum(a * b, axis=1)


def _centred(rows: np.ndarray) -> np.ndarray:
    """Rows minus their mean; exactly zero for a constant row, which rounding of the mean would spoil."""
    constant = (rows == rows[:, :1]).all(axis=1, keepdims=True)
    return np.where(constant, 0.0, rows - rows.mean(axis=1, keepdims=True))


def _spread(rows: np.ndarray) -> np.ndarray:
    centred = _centred(rows)
    return _dot(centred, centred)


def _ratio(numerator: np.ndarray, denominator: np.ndarray) -> np.ndarray:
    """The quotient, NaN where the denominator is zero."""
    safe = np.where(denominator == 0, np.nan, denominator)
    return numerator / safe
