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
    "verdict": (str, "What a comparison found: identical, equivalent or different"),
    "val_loss": (float, "Lowest validation loss"),
    "n_trials": (int, "Finished trials of a search for hyperparameters"),
    "objective": (float, "RMSE + weight · RMSE rank on validation, of a search's best trial"),
    "experiment": (str, "Name of the experiment over several tasks or models"),
}
METRIC_DESCRIPTION = "Mean of the metric over all conditions of the test split"


def save_features() -> None:
    """Register the features, Lightning's included; those that are there stay as they are."""
    from lamindb.integrations.lightning import save_lightning_features

    if ln.Feature.filter(name="is_best_model").one_or_none() is None:
        save_lightning_features()
    for name, (dtype, description) in FEATURES.items():
        _save(name, dtype, description)


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


def _save(name: str, dtype: type, description: str) -> None:
    if ln.Feature.filter(name=name, type=_type()).one_or_none() is None:
        ln.Feature(name=name, dtype=dtype, description=description, type=_type()).save()


def _type() -> ln.Feature:
    found = ln.Feature.filter(name="perturbench", is_type=True).one_or_none()
    return found or ln.Feature(name="perturbench", is_type=True, description="Features of this benchmark").save()
