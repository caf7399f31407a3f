"""Facts: what some measures need besides truth and prediction, always from the truth, a row per condition."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from perturbench_lamin.evaluation.aggregations import Context
from perturbench_lamin.evaluation.subsets import highest
from perturbench_lamin.evaluation.weighted import response_weights

EXPRESSED = 1000
"""Genes that non-additive effects are looked for among: the highest expressed in control."""


@dataclass(frozen=True)
class Subjects:
    """The conditions that are scored in one covariate state.

    Attributes:
        conditions: their names.
        tokens: the perturbations of each.
        genes: sorted.
        context: of the covariate state.
    """

    conditions: Sequence[str]
    tokens: Sequence[tuple[str, ...]]
    genes: pd.Index
    context: Context


@dataclass(frozen=True)
class Fact:
    """A fact and what it needs to be computed.

    Attributes:
        function: of the subjects → conditions × genes.
        needs: as in :class:`~perturbench_lamin.evaluation.aggregations.Aggregation`.
    """

    function: Callable[[Subjects], np.ndarray]
    needs: frozenset[str] = frozenset()


def weights(subjects: Subjects) -> np.ndarray:
    """Response weights, among all true conditions of the state."""
    position = {name: row for row, name in enumerate(subjects.context.conditions)}
    assert subjects.context.everyone is not None
    return response_weights(subjects.context.everyone)[[position[name] for name in subjects.conditions]]


def targets(subjects: Subjects) -> np.ndarray:
    """Whether a gene is one that the condition perturbs."""
    return np.array([subjects.genes.isin(tokens) for tokens in subjects.tokens]).reshape(-1, len(subjects.genes))


def additive(subjects: Subjects) -> np.ndarray:
    """μ_A + μ_B − μ_c from the true singles; NaN for conditions that are no pair or lack a single."""
    control, singles = subjects.context.control.means[0], subjects.context.singles
    rows = np.full((len(subjects.conditions), len(control)), np.nan)
    for row, tokens in zip(rows, subjects.tokens, strict=True):
        if len(tokens) == 2 and all(token in singles for token in tokens):
            row[:] = singles[tokens[0]] + singles[tokens[1]] - control
    return rows


def expressed(subjects: Subjects) -> np.ndarray:
    """Whether a gene is among the highest expressed in control."""
    chosen = highest(subjects.context.control.means, EXPRESSED)
    return np.broadcast_to(chosen, (len(subjects.conditions), chosen.shape[1]))


FACTS: Mapping[str, Fact] = {
    "weights": Fact(weights, frozenset({"variances"})),
    "targets": Fact(targets),
    "additive": Fact(additive),
    "expressed": Fact(expressed),
}
