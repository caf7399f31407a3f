"""What a search minimises: RMSE + 0.1 · RMSE rank on validation (PerturBench, arXiv 2408.10609)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from perturbench_lamin.errors import InputError
from perturbench_lamin.evaluation.evaluate import evaluate, needs_of
from perturbench_lamin.evaluation.profiles import PAPER, Profile, get_profile
from perturbench_lamin.evaluation.registry import get_metric
from perturbench_lamin.loading.curated import read_curated
from perturbench_lamin.loading.observed import observed
from perturbench_lamin.training.predict import PredictConfig, predict

FIT, RANK = "rmse_average", "rmse_average_rank"
RANK_WEIGHT = 0.1
PROFILE = Profile("objective", (FIT, RANK), PAPER, "What a search for hyperparameters minimises a weighted sum of.")


@dataclass(frozen=True)
class Score:
    """The objective and its parts, each a mean over conditions of the validation split.

    Attributes:
        value: fit + weight · rank: what is minimised.
        fit: RMSE of the mean expression.
        rank: rank of the RMSE among the conditions of the covariate state; 0 is best.
    """

    value: float
    fit: float
    rank: float


def score_validation(
    checkpoint: Path, curated_path: Path, split: pd.Series, *, rank_weight: float = RANK_WEIGHT, accelerator: str
) -> Score:
    """The objective of a trained model.

    Args:
        checkpoint: of the training.
        curated_path: the curated file it was trained on.
        split: cell → part.
        rank_weight: the weight of the rank.
        accelerator: ``auto``, ``cpu`` or ``cuda``.

    Raises:
        InputError: the rank is undefined because no covariate state has two conditions in validation.
    """
    means = metrics_of(checkpoint, curated_path, split, "val", PROFILE, accelerator).groupby("metric")["value"].mean()
    fit, rank = float(means[FIT]), float(means[RANK])
    if rank_weight and rank != rank:
        raise InputError(
            "The rank is undefined: no covariate state has two conditions in validation",
            where=curated_path,
            fix="Use another split, or a weight of 0 for the rank.",
        )
    return Score(fit + rank_weight * rank if rank_weight else fit, fit, rank)


def metrics_of(
    checkpoint: Path,
    curated_path: Path,
    split: pd.Series,
    which: str,
    profile: str | Profile,
    accelerator: str,
    model: str = "model",
) -> pd.DataFrame:
    """The long table of metrics of a trained model on one part of its split.

    The mean of the predicted cells stands for them where no metric of the profile asks for more.
    """
    chosen, data = get_profile(profile), read_curated(curated_path)
    metrics = [get_metric(name) for name in chosen.metrics]
    kind = "cells" if needs_of(metrics) else "mean"
    prediction = predict(
        checkpoint, curated_path, split, which, config=PredictConfig(kind=kind, accelerator=accelerator)
    )
    refers = any(metric.reference == "perturbation mean" for metric in metrics)
    training = observed(data, split, "train") if refers else None  # a copy of most of the file
    truth = observed(data, split, which)
    return evaluate(truth, {model: prediction}, data.info.keys, chosen, training=training).table
