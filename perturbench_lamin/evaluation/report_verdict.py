"""What a report says in a few sentences: which model is better, by how much, and whether the metrics can tell."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from perturbench_lamin.errors import many
from perturbench_lamin.evaluation.baselines import PREFIX
from perturbench_lamin.evaluation.bootstrap import Resampling, paired_differences
from perturbench_lamin.evaluation.challenge import MEAN_BASELINE
from perturbench_lamin.evaluation.registry import get_metric
from perturbench_lamin.evaluation.result import Evaluation


def verdict(result: Evaluation, controls: pd.DataFrame | None, resampling: Resampling) -> Iterator[str]:
    """Count wins over the metrics that can rank models (over all of them where that is not known).

    Args:
        result: the evaluation.
        controls: summary of a calibration; None where there is none.
        resampling: of the intervals that say whether a difference is sure.

    Yields:
        A sentence on the best of the models, and of the baselines that are best in anything; and one a model on the
        mean baseline.
    """
    fit = set(result.profile.metrics if controls is None else controls.loc[controls["can_rank"], "metric"])
    own = [model for model in dict.fromkeys(result.table["model"]) if not model.startswith(PREFIX)]
    which = "" if controls is None else f" that can rank models here (of {len(result.profile.metrics)})"
    if not fit:
        yield "No metric of this profile can rank models on these data: no model is better than another."
        return
    wins = [(model, count) for model, count in _wins(result, fit) if count or model in own]
    if len(wins) > 1:
        told = ", ".join(f"{model} in {count}" for model, count in wins)
        yield f"Best model, by {many(len(fit), 'metric')}{which}: {told}; ties count for each."
    if MEAN_BASELINE not in set(result.table["model"]):
        return
    differences = paired_differences(result.table, result.keys, MEAN_BASELINE, resampling)
    for model in own:
        better, worse, total = _against(differences[(differences["model"] == model) & differences["metric"].isin(fit)])
        yield (
            f"{model} against the perturbation mean: better in {better}, worse in {worse}, not distinguishable or "
            f"undefined in {total - better - worse} of {many(total, 'metric')}{which}."
        )


def _wins(result: Evaluation, fit: set[str]) -> list[tuple[str, int]]:
    """Metrics in which each model, and each baseline, has the best mean of all, most first."""
    means = result.summary().pivot(index="metric", columns="model", values="mean")
    signs = [1 if get_metric(str(name)).higher_is_better else -1 for name in means.index]
    signed = means.mul(signs, axis=0).loc[sorted(fit & set(means.index))]
    best = signed.eq(signed.max(axis=1), axis=0).sum()
    return sorted(((str(model), int(best[model])) for model in means.columns), key=lambda pair: (-pair[1], pair[0]))


def _against(rows: pd.DataFrame) -> tuple[int, int, int]:
    """In how many metrics a model is surely better, and surely worse, of how many."""
    signs = pd.Series([1 if get_metric(str(name)).higher_is_better else -1 for name in rows["metric"]], rows.index)
    sure = (rows["mean"] * signs)[rows["differs"].astype(bool)]
    return int((sure > 0).sum()), int((sure < 0).sum()), len(rows)
