"""Aggregations: what of a group of cells is compared. A metric is a measure applied to one of these."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy import stats

from perturbench_lamin.evaluation.aggregate import Moments
from perturbench_lamin.evaluation.differential import DifferentialExpression, differential_expression
from perturbench_lamin.evaluation.energy import distances_to
from perturbench_lamin.evaluation.pca import Basis
from perturbench_lamin.evaluation.profiles import Conventions
from perturbench_lamin.evaluation.tscores import t_scores
from perturbench_lamin.evaluation.wilcoxon import RankSums

LOGP_FLOOR = 1e-24
LOGFC_OFFSET = 0.1
"""Added to means before the logarithm (PerturBench); a mean at or below −0.1 has no logarithm."""


@dataclass(frozen=True)
class Side:
    """The truth, or one model's prediction, in one covariate state.

    Attributes:
        moments: statistics, a row per condition; genes sorted by name.
        cells: each condition's cells in the PCA space (cells × components); None unless asked for.
        expression: each condition's cells (cells × genes); None unless asked for.
        tests: rank-sum tests against the true controls (conditions × genes); None unless asked for.
    """

    moments: Moments
    cells: Sequence[np.ndarray] | None = None
    expression: Sequence[np.ndarray] | None = None
    tests: RankSums | None = None


@dataclass(frozen=True)
class Context:
    """What truth and prediction are both held against in one covariate state: always from the truth.

    Attributes:
        control: statistics of the true control cells, one row.
        perturbation_mean: mean of the conditions' true means, (genes,).
        basis: the PCA of the true cells; None unless asked for.
        control_cells: the control cells in the PCA space; None unless asked for.
        control_expression: the control cells' expression; None unless asked for.
        conditions: all perturbed conditions of the truth in the state.
        everyone: their statistics.
        singles: mean of each perturbation that was observed alone, from the training cells where there are any.
    """

    control: Moments
    perturbation_mean: np.ndarray
    basis: Basis | None = None
    control_cells: np.ndarray | None = None
    control_expression: np.ndarray | None = None
    conditions: tuple[str, ...] = ()
    everyone: Moments | None = None
    singles: Mapping[str, np.ndarray] = field(default_factory=dict)


@dataclass(frozen=True)
class Aggregation:
    """An aggregation and what it needs to be computed.

    Attributes:
        function: ``function(side, context, conventions)`` → a row per condition.
        description: the formula.
        needs: of ``variances``, ``basis``, ``cells``, ``expression`` and ``tests``.
        by_gene: whether it is an array of conditions × genes, of which a subset of genes can be taken.
    """

    function: Callable[[Side, Context, Conventions], Any]
    description: str
    needs: frozenset[str] = frozenset()
    by_gene: bool = True


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


def pca(side: Side, context: Context, conventions: Conventions) -> Sequence[np.ndarray]:
    """Cells in the PCA space."""
    assert side.cells is not None
    return side.cells


def scores(side: Side, context: Context, conventions: Conventions) -> np.ndarray:
    """t statistics against the true controls."""
    return t_scores(side.moments, context.control, conventions.t_test)


def cells(side: Side, context: Context, conventions: Conventions) -> Sequence[np.ndarray]:
    """Cells in gene space."""
    assert side.expression is not None
    return side.expression


def edistance_pca(side: Side, context: Context, conventions: Conventions) -> np.ndarray:
    """Energy distance of each condition's cells to the true controls in the PCA space: (conditions,)."""
    assert side.cells is not None
    assert context.control_cells is not None
    return distances_to(side.cells, context.control_cells)


def edistance_cells(side: Side, context: Context, conventions: Conventions) -> np.ndarray:
    """Energy distance of each condition's cells to the true controls in gene space: (conditions,)."""
    assert side.expression is not None
    assert context.control_expression is not None
    return distances_to(side.expression, context.control_expression)


def de(side: Side, context: Context, conventions: Conventions) -> DifferentialExpression:
    """Rank-sum tests against the true controls."""
    assert side.tests is not None
    return differential_expression(side.moments.means, context.control.means, side.tests.p)


def logp(side: Side, context: Context, conventions: Conventions) -> np.ndarray:
    """−ln(p + 1e-24) · sign(z) of the rank-sum test as scanpy has it: without tie and continuity correction."""
    assert side.tests is not None
    z = side.tests.z
    return -np.log(2 * stats.norm.sf(np.abs(z)) + LOGP_FLOOR) * np.sign(z)


_PCA = frozenset({"basis", "cells"})
_EXPRESSION = frozenset({"expression"})

AGGREGATIONS: Mapping[str, Aggregation] = {
    "average": Aggregation(average, "μ, the mean of log1p expression"),
    "logfc": Aggregation(logfc, "log2(μ + 0.1) − log2(μ_c + 0.1)"),
    "delta_control": Aggregation(delta_control, "μ − μ_c"),
    "delta_perturbation_mean": Aggregation(delta_perturbation_mean, "μ − μ̄, the mean over perturbations"),
    "pca_average": Aggregation(
        pca_average, "mean of cells in the PCA space of all true cells", frozenset({"basis"}), by_gene=False
    ),
    "pca": Aggregation(pca, "cells in the PCA space of all true cells", _PCA, by_gene=False),
    "cells": Aggregation(cells, "cells in gene space", _EXPRESSION, by_gene=False),
    "edistance_pca": Aggregation(
        edistance_pca, "energy distance of cells to the controls in the PCA space", _PCA, by_gene=False
    ),
    "edistance_cells": Aggregation(
        edistance_cells, "energy distance of cells to the controls in gene space", _EXPRESSION, by_gene=False
    ),
    "scores": Aggregation(scores, "t statistic of each gene against control", frozenset({"variances"})),
    "logp": Aggregation(logp, "−ln(p + 1e-24) · sign(z) of rank-sum tests against control", frozenset({"tests"})),
    "de": Aggregation(de, "log2 fold change and FDR of rank-sum tests", frozenset({"tests"}), by_gene=False),
}
