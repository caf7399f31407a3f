"""What truth and predictions look like, condition by condition: kept for the report."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from perturbench_lamin.evaluation.groups import Pair, State
from perturbench_lamin.evaluation.observed import Observed
from perturbench_lamin.evaluation.prediction import Prediction
from perturbench_lamin.evaluation.truth import Truth


@dataclass(frozen=True)
class Effects:
    """Means of log1p expression.

    Attributes:
        genes: sorted.
        controls: the true controls' mean of each covariate state, (genes,).
        truth: the true mean of each pair (covariate state, condition), (genes,).
        predicted: per model, its mean of each pair that it predicts.
    """

    genes: pd.Index
    controls: dict[State, np.ndarray]
    truth: dict[Pair, np.ndarray]
    predicted: dict[str, dict[Pair, np.ndarray]] = field(default_factory=dict)

    @classmethod
    def of(cls, truth: Truth) -> Effects:
        """Without predictions yet."""
        index = truth.groups.index
        means = {pair: truth.moments.means[index[pair]] for pair in truth.groups.perturbed}
        return cls(truth.genes, Observed(truth.groups, truth.moments).controls(), means)

    def add(self, prediction: Prediction) -> None:
        """Take a prediction's means in."""
        means = prediction.moments.means
        self.predicted[prediction.model] = {pair: means[row] for row, pair in enumerate(prediction.pairs)}

    def change(self, pair: Pair, model: str | None = None) -> np.ndarray:
        """μ − μ_c of the truth, or of a model's prediction, (genes,)."""
        means = self.truth if model is None else self.predicted[model]
        return means[pair] - self.controls[pair[0]]
