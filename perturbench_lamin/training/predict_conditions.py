"""Predict conditions that a user names, those that no cell has ever been under included."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import anndata as ad
import pandas as pd

from perturbench_lamin.contracts import SPLIT_NAMES
from perturbench_lamin.errors import InputError, nearest
from perturbench_lamin.loading.asked import asked_pairs, read_pairs
from perturbench_lamin.loading.curated import split_labels
from perturbench_lamin.loading.curated_file import CuratedFile
from perturbench_lamin.storage.reading import about
from perturbench_lamin.training.checkpoint import load_model
from perturbench_lamin.training.predict import PredictConfig, cells_for, predict_groups, prediction_uns, with_controls


def predict_conditions(
    checkpoint: str | Path,
    curated_path: str | Path,
    conditions: str | Path,
    out: str | Path | None = None,
    *,
    config: PredictConfig | None = None,
    split: pd.Series | None = None,
    which: str = "test",
    provenance: Mapping[str, str] | None = None,
    other_data: bool = False,
) -> ad.AnnData | Path:
    """Predict any condition of perturbations that a model knows, in any state that has control cells.

    Only the expression of these cells is read, and a prediction that goes to a file is never in memory as a whole.

    Args:
        checkpoint: ``best.ckpt`` or ``last.ckpt`` of a training.
        curated_path: a curated h5ad file with the genes of the training.
        conditions: a CSV table with a row for each condition and state, under the curated file's column names.
            A combination's perturbations are joined by the file's delimiter; it need not occur in the file.
        out: an h5ad file to write, a piece at a time; None to return everything in memory.
        config: how to predict.
        split: cell → part, to take controls from one part alone; None for all control cells of the file.
        which: that part.
        provenance: further strings for ``uns["prediction"]``.
        other_data: whether the file may hold other cells, or another version of them, than the model was
            trained on.

    Returns:
        As :func:`~perturbench_lamin.training.predict.predict`, sorted by state, then condition.

    Raises:
        InputError: the genes differ, the model does not know a perturbation or covariate value, or a state has
            no controls, with the nearest known names; or the file is another version than the model was trained
            on.
        ExhaustedError: memory ran out.
    """
    config = config or PredictConfig()
    if which not in SPLIT_NAMES:
        raise InputError(f"Unknown split {which!r}", where="which", fix=nearest(which, SPLIT_NAMES))
    model, info = load_model(checkpoint)
    file = CuratedFile(curated_path)
    cells = cells_for(file, info)
    chosen = None if split is None else split_labels(split, cells) == which
    settings = {
        "max_control_cells": config.max_control_cells,
        "seed": config.seed,
        "batch_size": config.batch_size,
    }
    pairs = read_pairs(conditions, cells.info.keys)
    with about(conditions):
        asked = asked_pairs(cells, chosen, pairs, info.vocabulary, settings)
    asked, data = with_controls(asked, cells, file, info, other_data=other_data)
    part = "all" if split is None else which
    return predict_groups(
        model, asked, data, out, config, prediction_uns(info, data.info, part, config, provenance or {})
    )
