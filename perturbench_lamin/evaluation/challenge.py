"""The score of the Virtual Cell Challenge: three metrics on the scale from the mean baseline to the best."""

from __future__ import annotations

import pandas as pd

from perturbench_lamin.errors import InputError
from perturbench_lamin.evaluation.baselines import PREFIX
from perturbench_lamin.evaluation.profiles import PROFILES
from perturbench_lamin.evaluation.registry import get_metric

MEAN_BASELINE = f"{PREFIX}perturbation mean"


def challenge_score(summary: pd.DataFrame, baseline: str = MEAN_BASELINE) -> pd.DataFrame:
    """Mean of DE overlap, discrimination score and mean absolute error, rescaled and clipped at 0 (cell-eval).

    A score s becomes (s − s_b) / (1 − s_b), an error e becomes 1 − e / e_b, b being the mean baseline.

    Args:
        summary: of an :class:`~perturbench_lamin.evaluation.result.Evaluation` by profile ``vcc``.
        baseline: the model that is the baseline.

    Returns:
        One row per model other than the baseline: ``model``, the three rescaled metrics, ``score``. Undefined metrics
        count as 0, as in cell-eval.

    Raises:
        InputError: a metric or the baseline is not in the summary.
    """
    names = PROFILES["vcc"].metrics
    wide = summary.pivot(index="model", columns="metric", values="mean")
    missing = [name for name in names if name not in wide.columns]
    if missing or baseline not in wide.index:
        raise InputError(
            f"The summary lacks {', '.join(missing) or baseline!r}",
            where="summary",
            fix="Evaluate with profile='vcc' and baselines=True.",
        )
    base = wide.loc[baseline]
    scaled = pd.DataFrame({name: (wide[name] - base[name]) / (get_metric(name).best - base[name]) for name in names})
    scaled = scaled.fillna(0.0).clip(lower=0.0).drop(index=baseline)
    return scaled.assign(score=scaled.mean(axis=1)).rename_axis(index="model").reset_index()
