"""Calibration: can a metric tell a good model from a mean? (Miller et al. 2025)

The true cells of each condition are split in two halves. Half A is the truth; half B, the *technical duplicate*, is as
good a prediction as another experiment of that size: the positive control. The *interpolated duplicate* shrinks half B
towards the mean where a gene does not respond. The negative control is the perturbation mean (the control mean, for
metrics that refer to the perturbation mean).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from perturbench_lamin.conditions import ObsKeys
from perturbench_lamin.evaluation.baselines import control_mean, mean_prediction, perturbation_mean
from perturbench_lamin.evaluation.cells import Source
from perturbench_lamin.evaluation.device import on_device
from perturbench_lamin.evaluation.differential import adjusted
from perturbench_lamin.evaluation.evaluate import needs_of, score
from perturbench_lamin.evaluation.groups import Groups
from perturbench_lamin.evaluation.prediction import Prediction, load_prediction
from perturbench_lamin.evaluation.profiles import Profile, get_profile
from perturbench_lamin.evaluation.registry import get_metric
from perturbench_lamin.evaluation.truth import Keep, Truth, load_truth
from perturbench_lamin.evaluation.weighted import rest_p_values

EPSILON = 1e-12
LEAST = 0.1
"""Metrics with a smaller dynamic-range fraction are flagged."""

DUPLICATE, INTERPOLATED = "technical duplicate", "interpolated duplicate"


@dataclass(frozen=True)
class Calibration:
    """What the controls score in each metric.

    Attributes:
        table: one column per covariate, the perturbation column, ``metric``, ``positive`` (technical duplicate),
            ``interpolated``, ``negative`` and ``fraction``, the dynamic-range fraction.
        keys: the obs columns.
        profile: what the metrics were chosen and computed by.
    """

    table: pd.DataFrame
    keys: ObsKeys
    profile: Profile

    def summary(self, least: float = LEAST) -> pd.DataFrame:
        """One row per metric.

        Args:
            least: metrics whose fraction is below it, or undefined, cannot rank models on this dataset.

        Returns:
            ``metric``; ``positive``, ``interpolated`` and ``negative``, means over conditions; ``fraction``, its
            median; ``n`` conditions with a fraction; ``can_rank``.
        """
        grouped = self.table.groupby("metric", sort=False)
        summary = grouped[["positive", "interpolated", "negative"]].mean()
        summary["fraction"] = grouped["fraction"].median()
        summary["n"] = grouped["fraction"].count()
        summary["can_rank"] = summary["fraction"] >= least
        return summary.reset_index()


def calibrate(
    truth: Source,
    keys: ObsKeys,
    profile: str | Profile = "perturbench",
    *,
    training: Source | None = None,
    seed: int = 0,
    device: str = "cpu",
) -> Calibration:
    """Score the controls of a dataset in each metric of a profile.

    Args:
        truth: observed cells; conditions of one cell have no duplicate and are left out.
        keys: the obs columns.
        profile: which metrics, by whose conventions.
        training: cells whose conditions make the perturbation mean.
        seed: of the halving, which does not depend on the order of the cells.
        device: as in :func:`~perturbench_lamin.evaluation.evaluate.evaluate`.

    Raises:
        InputError: as :func:`~perturbench_lamin.evaluation.evaluate.evaluate`; or no condition
            has two cells.
    """
    chosen = get_profile(profile)
    with on_device(device):
        return Calibration(_table(_control_scores(truth, keys, chosen, training, seed)), keys, chosen)


def _control_scores(
    truth: Source, keys: ObsKeys, chosen: Profile, training: Source | None, seed: int
) -> dict[str, pd.DataFrame]:
    """The long table of each control."""
    metrics = [get_metric(name) for name in chosen.metrics]
    needs = needs_of(metrics) | {"variances"}
    half = load_truth(truth, keys, needs, chosen.conventions.n_components, training, _half(0, seed))
    other = load_prediction(truth, DUPLICATE, half, keys, needs, allow_missing=True, keep=_half(1, seed))
    controls = {
        "positive": other,
        "interpolated": _interpolated(half, other, keys),
        "mean": mean_prediction("mean", half, other.pairs, perturbation_mean(half, keys, other.pairs).means),
        "control": mean_prediction("control", half, other.pairs, control_mean(half, keys, other.pairs).means),
    }
    return {name: score(half, side, keys, metrics, chosen.conventions) for name, side in controls.items()}


def dynamic_range(positive: np.ndarray, negative: np.ndarray, best: np.ndarray) -> np.ndarray:
    """Share of the way from the negative control to the best value that the positive control goes, in [−1, 1].

    (P − N) / (best − N): Miller et al.'s (P − N) / (1 − N) for scores and (N − P) / N for errors.
    """
    span = best - negative
    return np.clip((positive - negative) / (span + np.where(span < 0, -EPSILON, EPSILON)), -1.0, 1.0)


def _table(scores: dict[str, pd.DataFrame]) -> pd.DataFrame:
    table = scores["positive"].drop(columns=["model", "value"])
    values = {name: found["value"].to_numpy() for name, found in scores.items()}
    metrics = [get_metric(str(name)) for name in table["metric"]]
    refers = np.array([metric.reference == "perturbation mean" for metric in metrics], dtype=bool)
    negative = np.where(refers, values["control"], values["mean"])
    best = np.array([metric.best for metric in metrics], dtype=float)
    return table.assign(
        positive=values["positive"],
        interpolated=values["interpolated"],
        negative=negative,
        fraction=dynamic_range(values["positive"], negative, best),
    )


def _interpolated(half: Truth, other: Prediction, keys: ObsKeys) -> Prediction:
    """μ̃_g = α_g μ_B,g + (1 − α_g) μ̄_g, α_g = 1 − adjusted p of half B against the other perturbed cells."""
    means = perturbation_mean(half, keys, other.pairs).means
    for state in sorted({state for state, _ in other.pairs}):
        rows = [row for row, pair in enumerate(other.pairs) if pair[0] == state]
        alpha = 1.0 - np.nan_to_num(adjusted(rest_p_values(other.moments.take(rows))), nan=1.0)
        means[rows] += alpha * (other.moments.means[rows] - means[rows])
    return mean_prediction(INTERPOLATED, half, other.pairs, means)


def _half(which: int, seed: int) -> Keep:
    """Keep one half of each condition's cells, the larger where they are odd first; controls stay whole."""

    def keep(obs: pd.DataFrame, groups: Groups) -> np.ndarray:
        by_name = np.argsort(obs.index.to_numpy(dtype=str), kind="stable")
        draw = np.empty(len(obs))
        draw[by_name] = np.random.default_rng(seed).random(len(obs))
        order = np.lexsort((draw, groups.codes))
        starts = np.searchsorted(groups.codes[order], np.arange(len(groups.pairs)))
        half = np.empty(len(obs), dtype=np.int64)
        half[order] = (np.arange(len(obs)) - starts[groups.codes[order]]) % 2
        is_control = np.array([condition == groups.control for _, condition in groups.pairs], dtype=bool)
        return (half == which) | is_control[groups.codes]

    return keep
