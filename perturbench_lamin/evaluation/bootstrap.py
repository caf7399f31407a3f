"""How sure a mean is: bootstrap intervals over conditions, and paired differences between models.

Conditions are drawn with replacement, each with its values in all covariate states: what one perturbation does in
several states is not independent. Undefined values are left out, as in the means. A metric with one value for a whole
covariate state has no conditions to draw, and no interval.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from perturbench_lamin.conditions import ObsKeys
from perturbench_lamin.errors import InputError, nearest
from perturbench_lamin.evaluation.result import WHOLE_STATE


@dataclass(frozen=True)
class Resampling:
    """How to draw.

    Attributes:
        draws: bootstrap samples.
        level: of the intervals: 0.95 gives the 2.5 % and 97.5 % quantiles (percentile bootstrap).
        seed: of the draws; the same draws serve all models and metrics, so that differences are paired.
    """

    draws: int = 2000
    level: float = 0.95
    seed: int = 0

    def __post_init__(self) -> None:
        if self.draws < 1 or not 0 < self.level < 1:
            raise InputError("Bad resampling", where="resampling", fix="Use draws ≥ 1 and 0 < level < 1.")


DEFAULT = Resampling()


def intervals(table: pd.DataFrame, keys: ObsKeys, resampling: Resampling = DEFAULT) -> pd.DataFrame:
    """Means with bootstrap intervals.

    Args:
        table: of an :class:`~perturbench_lamin.evaluation.result.Evaluation`.
        keys: the obs columns.
        resampling: how to draw.

    Returns:
        One row per model and metric: ``model``, ``metric``, ``mean`` (micro: over all conditions), ``low``, ``high``,
        ``macro_mean`` (over covariate states' means), ``macro_low``, ``macro_high``.
    """
    rows = []
    for (model, metric), part in table.groupby(["model", "metric"], sort=False):
        rows.append({"model": model, "metric": metric, **_summary(part, keys, resampling)})
    return pd.DataFrame(rows)


def paired_differences(
    table: pd.DataFrame, keys: ObsKeys, reference: str, resampling: Resampling = DEFAULT
) -> pd.DataFrame:
    """Differences of each model to a reference model, condition by condition, with bootstrap intervals.

    Args:
        table: of an :class:`~perturbench_lamin.evaluation.result.Evaluation`.
        keys: the obs columns.
        reference: the model to compare with.
        resampling: how to draw.

    Returns:
        As :func:`intervals`, of value(model) − value(reference) where both are defined, with ``n`` conditions and
        ``differs``: the micro interval excludes 0.

    Raises:
        InputError: there is no such model.
    """
    models = list(dict.fromkeys(table["model"]))
    if reference not in models:
        raise InputError(f"No model {reference!r}", where="reference", fix=nearest(reference, models))
    index = [*keys.covariates, keys.perturbation, "metric"]
    base = table[table["model"] == reference].set_index(index)["value"]
    rows = []
    for model in models:
        if model == reference:
            continue
        own = table[table["model"] == model].set_index(index)["value"]
        difference = (own - base.reindex(own.index)).rename("value").reset_index()
        for metric, part in difference.groupby("metric", sort=False):
            found = _summary(part, keys, resampling)
            differs = found["low"] > 0 or found["high"] < 0
            n = int(part["value"].count())
            rows.append({"model": model, "reference": reference, "metric": metric, **found, "n": n, "differs": differs})
    return pd.DataFrame(rows)


def _summary(part: pd.DataFrame, keys: ObsKeys, resampling: Resampling) -> dict[str, float]:
    values, conditions = _by_condition(part, keys)
    sums, counts = np.nan_to_num(values), (~np.isnan(values)).astype(float)
    micro, macro = _means(np.ones((1, len(conditions))), sums, counts)
    found = {"mean": float(micro[0]), "macro_mean": float(macro[0])}
    drawn = (np.full(1, np.nan),) * 2
    if len(conditions) > 1 and WHOLE_STATE not in conditions:
        drawn = _means(_weights(len(conditions), resampling), sums, counts)
    tail = (1 - resampling.level) / 2
    for name, sample in zip(("", "macro_"), drawn, strict=True):
        defined = sample[~np.isnan(sample)]
        low, high = np.quantile(defined, [tail, 1 - tail]) if len(defined) else (np.nan, np.nan)
        found |= {f"{name}low": float(low), f"{name}high": float(high)}
    return {name: found[name] for name in ("mean", "low", "high", "macro_mean", "macro_low", "macro_high")}


def _by_condition(part: pd.DataFrame, keys: ObsKeys) -> tuple[np.ndarray, list[object]]:
    """Values as conditions × covariate states, NaN where there is none."""
    state = part.groupby(list(keys.covariates), sort=True).ngroup() if keys.covariates else np.zeros(len(part), int)
    wide = part.assign(_state=state).pivot(index=keys.perturbation, columns="_state", values="value").sort_index()
    return wide.to_numpy(dtype=float), list(wide.index)


def _weights(n: int, resampling: Resampling) -> np.ndarray:
    """How often each condition is drawn in each sample: samples × conditions."""
    rng = np.random.default_rng(resampling.seed)
    return rng.multinomial(n, np.full(n, 1 / n), size=resampling.draws).astype(float)


def _means(weights: np.ndarray, sums: np.ndarray, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Micro and macro mean of each sample; NaN where nothing defined was drawn."""
    total, n = weights @ sums, weights @ counts
    with np.errstate(divide="ignore", invalid="ignore"):
        micro = total.sum(axis=1) / n.sum(axis=1)
        states = total / n
        macro = np.nansum(states, axis=1) / (n > 0).sum(axis=1)
    return micro, macro
