"""The features that annotate artifacts and runs, so that LaminDB can be queried by them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import lamindb as ln

FEATURES: Mapping[str, tuple[type, str]] = {
    "dataset": (str, "Name of the dataset in the catalog"),
    "origin_url": (str, "Where the deposited file is published"),
    "sha256": (str, "SHA-256 checksum of the file"),
    "licence": (str, "Licence of the deposited file"),
    "citation": (str, "The publication to cite"),
    "simulated": (bool, "Whether the data are simulated rather than measured"),
    "n_cells": (int, "Number of cells"),
    "n_genes": (int, "Number of genes"),
    "n_conditions": (int, "Number of conditions, control included"),
    "task": (str, "The split's task, such as combine or transfer"),
    "split_seed": (int, "Seed of the split"),
    "train_cells": (int, "Cells in the training split"),
    "val_cells": (int, "Cells in the validation split"),
    "test_cells": (int, "Cells in the test split"),
    "excluded_cells": (int, "Cells in no split"),
    "model": (str, "Name of the model in the registry"),
    "seed": (int, "Seed of the training"),
    "preset": (str, "Which hyperparameters: quick or published"),
    "profile": (str, "The profile of metric definitions"),
    "verdict": (str, "What a comparison found: identical, equivalent, the same in what was compared, or different"),
    "val_loss": (float, "Lowest validation loss"),
    "n_trials": (int, "Finished trials of a search for hyperparameters"),
    "objective": (float, "RMSE + weight · RMSE rank on validation, of a search's best trial"),
    "experiment": (str, "Name of the experiment over several tasks or models"),
}
LIGHTNING: Mapping[str, str] = {
    "is_best_model": "Whether it is the checkpoint with the best monitored value of its training",
    "is_last_model": "Whether it is the checkpoint of the last epoch",
    "score": "The monitored value of the checkpoint",
    "model_rank": "Rank of the checkpoint among those of its training, 0 the best",
    "logger_name": "Name of Lightning's logger",
    "logger_version": "Version of Lightning's logger",
    "max_epochs": "Epochs at most",
    "max_steps": "Optimiser steps at most; -1: no limit",
    "precision": "Numbers that the training computes with, such as 32-true",
    "accumulate_grad_batches": "Batches whose gradients are summed before a step",
    "gradient_clip_val": "Norm that gradients are clipped to",
    "monitor": "The value that decides which checkpoint is the best",
    "save_weights_only": "Whether the checkpoint lacks the optimiser's state",
    "mode": "Whether the monitored value is better when lower (min) or higher (max)",
}
"""What Lightning's features mean: LaminDB registers them without a description."""
METRIC_DESCRIPTION = "Mean of the metric over all conditions of the test split"


def save_features() -> None:
    """Register the features, Lightning's included; those that are there stay as they are."""
    from lamindb.integrations.lightning import save_lightning_features

    if ln.Feature.filter(name="is_best_model").one_or_none() is None:
        save_lightning_features()
    for name, (dtype, description) in FEATURES.items():
        _save(name, dtype, description)
    _describe_lightning()


def annotate(record: ln.Artifact | ln.Run, values: Mapping[str, Any]) -> None:
    """Attach feature values to an artifact or a run; None values are left out.

    A name outside :data:`FEATURES` is registered as a number: metrics of any name can be attached.
    """
    present = {name: value for name, value in values.items() if value is not None}
    for name in present:
        if name not in FEATURES:
            _save(name, float, METRIC_DESCRIPTION)
    if present:
        record.features.add_values(present)


def plain_values(artifact: ln.Artifact) -> dict[str, Any]:
    """The values of an artifact's :data:`FEATURES`; of several the one attached last."""
    values = artifact.json_values.filter(feature__name__in=list(FEATURES), feature__type__name="perturbench")
    return dict(values.order_by("pk").values_list("feature__name", "value"))


def _describe_lightning() -> None:
    for feature in ln.Feature.filter(name__in=list(LIGHTNING), type__name="lamindb.lightning", description=None):
        feature.description = LIGHTNING[feature.name]
        feature.save()


def _save(name: str, dtype: type, description: str) -> None:
    if ln.Feature.filter(name=name, type=_type()).one_or_none() is None:
        ln.Feature(name=name, dtype=dtype, description=description, type=_type()).save()


def _type() -> ln.Feature:
    found = ln.Feature.filter(name="perturbench", is_type=True).one_or_none()
    return found or ln.Feature(name="perturbench", is_type=True, description="Features of this benchmark").save()
