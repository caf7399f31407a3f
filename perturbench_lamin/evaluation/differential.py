"""Differential expression of truth and prediction, by the rank-sum test, and what cell-eval asks of it.

The formulas are those of cell-eval 0.8 (Arc Institute, Virtual Cell Challenge). Unlike there, a prediction is always
tested against the true controls, and log fold changes and p-values are kept in double precision.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import stats

from perturbench_lamin.evaluation.profiles import NoGenes

FDR = 0.05
LEAST_FDR = 1e-10
"""Smaller ones are equally sure: the floor of −log10 in PR-AUC and ROC-AUC."""


@dataclass(frozen=True)
class DifferentialExpression:
    """Tests of the conditions of one covariate state against its controls.

    Attributes:
        lfc: log2 fold changes of expm1 of means, (conditions × genes); infinite where one mean is 0.
        fdr: Benjamini-Hochberg adjusted p-values; NaN for a condition that cannot be tested.
    """

    lfc: np.ndarray
    fdr: np.ndarray

    @property
    def significant(self) -> np.ndarray:
        """Genes with FDR < 0.05, (conditions × genes)."""
        return self.fdr < FDR

    @property
    def untested(self) -> np.ndarray:
        """Conditions without a test, (conditions,)."""
        return np.isnan(self.fdr).all(axis=1)


def differential_expression(means: np.ndarray, control: np.ndarray, p_values: np.ndarray) -> DifferentialExpression:
    """Fold changes and adjusted p-values.

    Where the fold change is undefined, both means being 0 or one negative, it is 0: no change.

    Args:
        means: of log1p expression, conditions × genes.
        control: the controls' means.
        p_values: conditions × genes.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        lfc = np.log2(np.expm1(means) / np.expm1(control))
    return DifferentialExpression(np.where(np.isnan(lfc), 0.0, lfc), adjusted(p_values))


def adjusted(p_values: np.ndarray) -> np.ndarray:
    """Benjamini-Hochberg adjusted p-values, row by row; rows with NaN stay NaN."""
    tested = ~np.isnan(p_values).any(axis=1)
    fdr = np.full(p_values.shape, np.nan)
    if tested.any():
        fdr[tested] = stats.false_discovery_control(p_values[tested], axis=1)
    return fdr


def overlap(
    truth: DifferentialExpression, prediction: DifferentialExpression, no_genes: NoGenes, k: int | None = None
) -> np.ndarray:
    """|top k of truth ∩ top k of prediction| / k among significant genes by |log fold change|.

    k is at most the number of the truth's significant genes, and is that number where None.
    """
    return _shared(truth, prediction, truth.significant.sum(axis=1), k, no_genes)


def precision(
    truth: DifferentialExpression, prediction: DifferentialExpression, no_genes: NoGenes, k: int | None = None
) -> np.ndarray:
    """As :func:`overlap`, with k at most the number of the prediction's significant genes.

    A prediction without significant genes where the truth has some scores 0.
    """
    return _shared(truth, prediction, prediction.significant.sum(axis=1), k, no_genes)


def _shared(
    truth: DifferentialExpression,
    prediction: DifferentialExpression,
    most: np.ndarray,
    k: int | None,
    no_genes: NoGenes,
) -> np.ndarray:
    places = [_places(side) for side in (truth, prediction)]
    size = np.minimum(most, most if k is None else k)
    shared = np.logical_and(*(place < size[:, None] for place in places)).sum(axis=1) / np.maximum(size, 1)
    nothing = ~truth.significant.any(axis=1) if no_genes == "undefined" else np.zeros(len(size), dtype=bool)
    return np.where(nothing | truth.untested | prediction.untested, np.nan, shared)


def _places(side: DifferentialExpression) -> np.ndarray:
    """Each significant gene's place by falling |log fold change|, ties by gene name; a huge one for the others."""
    key = np.where(side.significant, -np.abs(side.lfc), np.inf)
    order = np.lexsort((np.broadcast_to(~side.significant, key.shape), key), axis=1)
    places = np.empty(key.shape, dtype=np.int64)
    np.put_along_axis(places, order, np.arange(key.shape[1])[None, :], axis=1)
    return np.where(side.significant, places, key.shape[1])


def recall(truth: DifferentialExpression, prediction: DifferentialExpression) -> np.ndarray:
    """Share of the truth's significant genes that are significant in the prediction; NaN without any."""
    return _share(truth, prediction, prediction.significant)


def direction_match(truth: DifferentialExpression, prediction: DifferentialExpression) -> np.ndarray:
    """Share of the truth's significant genes whose predicted change has the same sign; NaN without any."""
    return _share(truth, prediction, np.sign(truth.lfc) == np.sign(prediction.lfc))


def _share(truth: DifferentialExpression, prediction: DifferentialExpression, agree: np.ndarray) -> np.ndarray:
    n = truth.significant.sum(axis=1)
    share = (truth.significant & agree).sum(axis=1) / np.where(n == 0, np.nan, n)
    return np.where(prediction.untested, np.nan, share)


def spearman_lfc(truth: DifferentialExpression, prediction: DifferentialExpression) -> np.ndarray:
    """Spearman correlation of log fold changes over the truth's significant genes; NaN with fewer than two."""
    return _each(truth, prediction, _spearman_lfc)


def spearman_counts(truth: DifferentialExpression, prediction: DifferentialExpression) -> np.ndarray:
    """Spearman correlation, over conditions with significant genes, of their number in truth and prediction: (1,)."""
    n_true, n_predicted = truth.significant.sum(axis=1), prediction.significant.sum(axis=1)
    used = (n_true > 0) & ~prediction.untested
    return np.array([spearman(n_true[used], n_predicted[used])])


def pr_auc(truth: DifferentialExpression, prediction: DifferentialExpression) -> np.ndarray:
    """Average precision of −log10 FDR of the prediction for the truth's significant genes."""
    from sklearn.metrics import average_precision_score

    return _each(truth, prediction, lambda t, p, i: _auc(t, p, i, average_precision_score))


def roc_auc(truth: DifferentialExpression, prediction: DifferentialExpression) -> np.ndarray:
    """Area under the ROC curve of −log10 FDR of the prediction for the truth's significant genes."""
    from sklearn.metrics import roc_auc_score

    return _each(truth, prediction, lambda t, p, i: _auc(t, p, i, roc_auc_score))


def _each(
    truth: DifferentialExpression,
    prediction: DifferentialExpression,
    function: Callable[[DifferentialExpression, DifferentialExpression, int], float],
) -> np.ndarray:
    skipped = truth.untested | prediction.untested
    return np.array([np.nan if skipped[i] else function(truth, prediction, i) for i in range(len(skipped))])


def _spearman_lfc(truth: DifferentialExpression, prediction: DifferentialExpression, i: int) -> float:
    chosen = truth.significant[i]
    return spearman(truth.lfc[i, chosen], prediction.lfc[i, chosen])


def _auc(
    truth: DifferentialExpression,
    prediction: DifferentialExpression,
    i: int,
    function: Callable[[np.ndarray, np.ndarray], float],
) -> float:
    labels = truth.significant[i]
    if labels.all() or not labels.any():
        return float("nan")
    return float(function(labels, -np.log10(np.clip(prediction.fdr[i], LEAST_FDR, 1.0))))


def spearman(a: np.ndarray, b: np.ndarray) -> float:
    """Spearman correlation; NaN for fewer than two values or equal ones."""
    if len(a) < 2:
        return float("nan")
    ranks = [stats.rankdata(values) for values in (a, b)]
    if any(np.ptp(values) == 0 for values in ranks):
        return float("nan")
    return float(np.corrcoef(*ranks)[0, 1])
