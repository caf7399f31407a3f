"""What a search minimises: RMSE + 0.1 · RMSE rank on validation (PerturBench, arXiv 2408.10609)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from perturbench_lamin.errors import InputError
from perturbench_lamin.evaluation.evaluate import evaluate, needs_of
from perturbench_lamin.evaluation.profiles import PAPER, Profile, get_profile
from perturbench_lamin.evaluation.registry import get_metric
from perturbench_lamin.loading.curated import split_labels
from perturbench_lamin.loading.curated_file import CuratedFile
from perturbench_lamin.loading.header import read_header
from perturbench_lamin.loading.observed import observed
from perturbench_lamin.training.checkpoint import load_model
from perturbench_lamin.training.predict import (
    PredictConfig,
    cells_for,
    predict_groups,
    prediction_uns,
    rows_for,
    split_counterfactuals,
)

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


RANK_UNDEFINED = "The rank is undefined: no covariate state has two conditions in validation"
WITHOUT_RANK = "Use another split, or leave the rank out: --rank-weight 0 (rank_weight=0 in Python)."


def require_rank(curated_path: Path, split: pd.Series) -> None:
    """Refuse a split on which the objective's rank is undefined, before anything is trained.

    Raises:
        InputError: no covariate state has two conditions in validation.
    """
    header = read_header(curated_path)
    keys = header.info.keys
    held = header.obs[(split.reindex(header.obs.index) == "val").to_numpy()].astype(str)
    pairs = held.loc[held[keys.perturbation] != keys.control, [*keys.covariates, keys.perturbation]].drop_duplicates()
    in_state = pairs.groupby(list(keys.covariates)).size() if keys.covariates else pd.Series([len(pairs)])
    if not (in_state > 1).any():
        raise InputError(RANK_UNDEFINED, where=curated_path, fix=WITHOUT_RANK)


def score_validation(
    checkpoint: Path,
    curated_path: Path | CuratedFile,
    split: pd.Series,
    *,
    rank_weight: float = RANK_WEIGHT,
    accelerator: str,
) -> Score:
    """The objective of a trained model.

    Args:
        checkpoint: of the training.
        curated_path: the curated file it was trained on; what a
            :class:`~perturbench_lamin.loading.curated_file.CuratedFile` holds is not read again.
        split: cell → part.
        rank_weight: the weight of the rank.
        accelerator: ``auto``, ``cpu`` or ``cuda``.

    Raises:
        InputError: the rank is undefined because no covariate state has two conditions in validation.
    """
    means = metrics_of(checkpoint, curated_path, split, "val", PROFILE, accelerator).groupby("metric")["value"].mean()
    fit, rank = float(means[FIT]), float(means[RANK])
    if rank_weight and rank != rank:
        raise InputError(RANK_UNDEFINED, where=CuratedFile.of(curated_path).path, fix=WITHOUT_RANK)
    return Score(fit + rank_weight * rank if rank_weight else fit, fit, rank)


def metrics_of(
    checkpoint: Path,
    curated_path: Path | CuratedFile,
    split: pd.Series,
    which: str,
    profile: str | Profile,
    accelerator: str,
    model: str = "model",
) -> pd.DataFrame:
    """The long table of metrics of a trained model on one part of its split.

    Only the cells of that part are read, and the training cells where a metric refers to their mean. The mean of
    the predicted cells stands for them where no metric of the profile asks for more.
    """
    chosen, file = get_profile(profile), CuratedFile.of(curated_path)
    metrics = [get_metric(name) for name in chosen.metrics]
    config = PredictConfig(kind="cells" if needs_of(metrics) else "mean", accelerator=accelerator)
    refers = any(metric.reference == "perturbation mean" for metric in metrics)
    trained, info = load_model(checkpoint)
    cells = cells_for(file, info)
    parts = [which, "train"] if refers else [which]
    data = rows_for(file, cells, np.flatnonzero(np.isin(split_labels(split, cells), parts)), info)
    asked = split_counterfactuals(data, split, which, info, config)
    prediction = predict_groups(trained, asked, data, None, config, prediction_uns(info, data.info, which, config, {}))
    training = observed(data, split, "train") if refers else None  # a copy of most of the file
    truth = observed(data, split, which)
    return evaluate(truth, {model: prediction}, data.info.keys, chosen, training=training).table
