"""Aggregations: what of a group of cells is compared. A metric is a measure applied to one of these."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from perturbench_lamin.evaluation.aggregate import Moments
from perturbench_lamin.evaluation.pca import Basis
from perturbench_lamin.evaluation.profiles import Conventions
from perturbench_lamin.evaluation.tscores import t_scores

LOGFC_OFFSET = 0.1
"""Added to means before the logarithm (PerturBench); a mean at or below −0.1 has no logarithm."""


@dataclass(frozen=True)
class Side:
    """The truth, or one model's prediction, in one covariate state.

    Attributes:
        moments: statistics, a row per condition; genes sorted by name.
        cells: each condition's cells in the PCA space (cells × components); None unless asked for.
    """

    moments: Moments
    cells: list[np.ndarray] | None = None


@dataclass(frozen=True)
class Context:
    """What truth and prediction are both held against in one covariate state: always from the truth.

    Attributes:
        control: statistics of the true control cells, one row.
        perturbation_mean: mean of the conditions' true means, (genes,).
        basis: the PCA of the true cells; None unless asked for.
    """

    control: Moments
    perturbation_mean: np.ndarray
    basis: Basis | None = None


@dataclass(frozen=True)
class Aggregation:
    """An aggregation and what it needs to be computed.

    Attributes:
        function: ``function(side, context, conventions)`` → a row per condition.
        description: the formula.
        needs: of ``variances``, ``basis`` and ``cells``.
    """

    function: Callable[[Side, Context, Conventions], Any]
    description: str
    needs: frozenset[str] = frozenset()


def average(side: Side, context: Context, conventions: Conventions) -> np.ndarray:
    """Means of log1p expression."""
    return side.moments.means


def logfc(side: Side, context: Context, conventions: Conventions) -> np.ndarray:
    """log2(μ + 0.1) − log2(μ_c + 0.1), means of log1p expression.

    A gene whose mean is −0.1 or less (a model without a positive output) counts as no change, as in the
    reference; :mod:`~perturbench_lamin.evaluation.notes` reports how many.
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        change = np.log2(side.moments.means + LOGFC_OFFSET) - np.log2(context.control.means + LOGFC_OFFSET)
    return np.where(np.isfinite(change), change, 0.0)


def delta_control(side: Side, context: Context, conventions: Conventions) -> np.ndarray:
    """μ − μ_c."""
    return side.moments.means - context.control.means


def delta_perturbation_mean(side: Side, context: Context, conventions: Conventions) -> np.ndarray:
    """μ − μ̄."""
    return side.moments.means - context.perturbation_mean


def pca_average(side: Side, context: Context, conventions: Conventions) -> np.ndarray:
    """Means in the PCA space: the projection is linear, so the projected mean is the mean of the projections."""
    assert context.basis is not None
    return context.basis.project(side.moments.means)


def pca(side: Side, context: Context, conventions: Conventions) -> list[np.ndarray]:
    """Cells in the PCA space."""
    assert side.cells is not None
    return side.cells


def scores(side: Side, context: Context, conventions: Conventions) -> np.ndarray:
    """t statistics against the true controls."""
    return t_scores(side.moments, context.control, conventions.t_test)


AGGREGATIONS: Mapping[str, Aggregation] = {
    "average": Aggregation(average, "μ, the mean of log1p expression"),
    "logfc": Aggregation(logfc, "log2(μ + 0.1) − log2(μ_c + 0.1)"),
    "delta_control": Aggregation(delta_control, "μ − μ_c"),
    "delta_perturbation_mean": Aggregation(delta_perturbation_mean, "μ − μ̄, the mean over perturbations"),
    "pca_average": Aggregation(pca_average, "mean of cells in the PCA space of all true cells", frozenset({"basis"})),
    "pca": Aggregation(pca, "cells in the PCA space of all true cells", frozenset({"basis", "cells"})),
    "scores": Aggregation(scores, "t statistic of each gene against control", frozenset({"variances"})),
}
