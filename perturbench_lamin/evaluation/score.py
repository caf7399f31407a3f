"""Apply metrics to the truth and a prediction of one covariate state."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from perturbench_lamin.evaluation.aggregations import AGGREGATIONS, Side
from perturbench_lamin.evaluation.facts import FACTS, Subjects
from perturbench_lamin.evaluation.metric import Metric
from perturbench_lamin.evaluation.profiles import Conventions
from perturbench_lamin.evaluation.ranks import rank_conditions

Options = Mapping[str, Any]


def score_state(
    truth: Side, prediction: Side, subjects: Subjects, metrics: Sequence[Metric], conventions: Conventions
) -> dict[str, np.ndarray]:
    """Each metric of the conditions of one covariate state: (conditions,) each, (1,) for one of the state."""
    context = subjects.context
    facts = {name: FACTS[name].function(subjects) for name in _facts_of(metrics)}
    found: dict[str, np.ndarray] = {}
    for name in dict.fromkeys(metric.aggregation for metric in metrics):
        function = AGGREGATIONS[name].function
        compared = function(truth, context, conventions), function(prediction, context, conventions)
        for metric in metrics:
            if metric.aggregation == name:
                genes = metric.subset.genes(truth, context, conventions.t_test) if metric.subset else None
                found[metric.name] = _apply(metric, *compared, _options(metric, facts, conventions), genes, conventions)
    return {metric.name: found[metric.name] for metric in metrics}


def _facts_of(metrics: Sequence[Metric]) -> list[str]:
    return sorted({name for metric in metrics for name in metric.options if name in FACTS})


def _options(metric: Metric, facts: Options, conventions: Conventions) -> Options:
    return {name: facts[name] if name in FACTS else getattr(conventions, name) for name in metric.options}


def _apply(
    metric: Metric, truth: Any, prediction: Any, options: Options, genes: np.ndarray | None, conventions: Conventions
) -> np.ndarray:
    if genes is not None and not genes.any():
        return np.full(len(truth), np.nan)
    if genes is not None and (genes == genes[0]).all():  # the same genes for all conditions
        chosen = np.flatnonzero(genes[0])
        truth, prediction, options, genes = truth[:, chosen], prediction[:, chosen], _columns(options, chosen), None
    if metric.base is None:
        if genes is None:
            return metric.function(truth, prediction, **options)
        return np.array([_of_one(metric, truth, prediction, options, genes, i) for i in range(len(truth))])
    if genes is None:
        scores = metric.base.all_pairs(truth, prediction, **options)
    else:
        scores = _pairs_by_gene(metric.base, truth, prediction, options, genes)
    higher = metric.base.higher_is_better
    return rank_conditions(scores, higher_is_better=higher, ties=conventions.ties, alone=conventions.alone)


def _of_one(
    metric: Metric, truth: np.ndarray, prediction: np.ndarray, options: Options, genes: np.ndarray, i: int
) -> float:
    """Condition i on its own genes; NaN where it has none."""
    chosen = np.flatnonzero(genes[i])
    if not len(chosen):
        return float("nan")
    rows = slice(None) if metric.across else slice(i, i + 1)
    own = _rows(_columns(options, chosen), rows)
    return float(metric.function(truth[rows, chosen], prediction[rows, chosen], **own)[i if metric.across else 0])


def _pairs_by_gene(
    metric: Metric, truth: np.ndarray, prediction: np.ndarray, options: Options, genes: np.ndarray
) -> np.ndarray:
    """Every prediction against truth j, on the genes of condition j: (predictions × truths)."""
    scores = np.full((len(prediction), len(truth)), np.nan)
    for j in range(len(truth)):
        chosen = np.flatnonzero(genes[j])
        if len(chosen):
            own = _rows(_columns(options, chosen), slice(j, j + 1))
            scores[:, j] = metric.all_pairs(truth[j : j + 1, chosen], prediction[:, chosen], **own)[:, 0]
    return scores


def _columns(options: Options, genes: np.ndarray) -> Options:
    return {name: value[:, genes] if isinstance(value, np.ndarray) else value for name, value in options.items()}


def _rows(options: Options, rows: slice) -> Options:
    return {name: value[rows] if isinstance(value, np.ndarray) else value for name, value in options.items()}
