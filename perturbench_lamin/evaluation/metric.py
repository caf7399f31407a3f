"""What a metric is: a formula with its definition beside it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from perturbench_lamin.evaluation.aggregations import AGGREGATIONS
from perturbench_lamin.evaluation.facts import FACTS
from perturbench_lamin.evaluation.subsets import Subset

Scope = Literal["condition", "state"]

RowFunction = Callable[..., np.ndarray]
"""``function(truth, prediction, **options) -> (conditions,)``; both are aggregations, a row per condition."""

PairFunction = Callable[..., np.ndarray]
"""``function(truth, prediction, **options) -> (predictions × truths)``: prediction i against truth j."""


@dataclass(frozen=True)
class Metric:
    """A metric and all that a reader must know to use it.

    Attributes:
        name: ``<measure>_<aggregation>``, as in results.
        aggregation: what is compared, a name in :data:`~perturbench_lamin.evaluation.aggregations.AGGREGATIONS`.
        function: scores each condition of one covariate state.
        formula: the formula, in plain text.
        space: the scale of the expression values it sees: ``log1p`` or ``count``.
        reference: what expression is a difference from: ``none``, ``control`` or ``perturbation mean``.
        range: lowest and highest possible value.
        best: the value of a perfect prediction.
        higher_is_better: the direction.
        constant_score: the mean score of a prediction that is one and the same for all conditions (with ties
            counted as worse); None where it depends on the data.
        citation: where it is defined.
        pairwise: scores every prediction against every truth, which a rank needs; by default row by row
            with ``function``. None of it is called unless a rank is asked for.
        options: which of the profile's conventions, and of
            :data:`~perturbench_lamin.evaluation.facts.FACTS`, ``function`` takes as keyword arguments.
        rankable: whether a rank of it makes sense.
        base: for a rank, the metric it is the rank of.
        scope: ``condition``, a value for each condition, or ``state``, one for all conditions of a covariate state.
        across: whether a condition's value depends on the other conditions.
        subset: the genes it looks at; all where None.
        constant_text: what a constant prediction scores, in words, where ``constant_score`` is None.
    """

    name: str
    aggregation: str
    function: RowFunction
    formula: str
    range: tuple[float, float]
    best: float
    higher_is_better: bool
    citation: str
    space: str = "log1p"
    reference: str = "none"
    constant_score: float | None = None
    pairwise: PairFunction | None = None
    options: tuple[str, ...] = ()
    rankable: bool = True
    base: Metric | None = None
    scope: Scope = "condition"
    across: bool = False
    subset: Subset | None = None
    constant_text: str = ""

    @property
    def needs(self) -> frozenset[str]:
        """What must be computed of the cells for it."""
        facts = frozenset[str]().union(*(FACTS[name].needs for name in self.options if name in FACTS))
        return AGGREGATIONS[self.aggregation].needs | facts | (self.subset.needs if self.subset else frozenset())

    def all_pairs(self, truth: Any, prediction: Any, **options: Any) -> np.ndarray:
        """Score every prediction i against every truth j: (predictions × truths)."""
        if self.pairwise is not None:
            return self.pairwise(truth, prediction, **options)
        repeated = (_repeat(prediction, i, len(truth)) for i in range(len(prediction)))
        return np.stack([self.function(truth, rows, **options) for rows in repeated])


def _repeat(rows: Any, i: int, n: int) -> Any:
    if isinstance(rows, np.ndarray):
        return np.broadcast_to(rows[i], (n, *rows.shape[1:]))
    return [rows[i]] * n
