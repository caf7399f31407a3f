"""The observed cells of one part of a split, as the truth of an evaluation."""

from __future__ import annotations

from pathlib import Path

import anndata as ad
import pandas as pd

from perturbench_lamin.conditions import ObsKeys, require_controls_per_state
from perturbench_lamin.contracts import SPLIT_NAMES
from perturbench_lamin.errors import InputError, nearest, some
from perturbench_lamin.loading.curated import CuratedData, read_curated, split_labels
from perturbench_lamin.splitting.io import read_split


def read_observed(
    curated: str | Path, split: str | Path, which: str = "test"
) -> tuple[ad.AnnData, ad.AnnData, ObsKeys]:
    """The truth of an evaluation and its training cells, of files.

    Args:
        curated: a curated h5ad file.
        split: a split file of its cells.
        which: the part that is the truth.

    Returns:
        the cells of that part, those of ``train``, and which columns hold conditions and covariates.

    Raises:
        InputError: the files are none such, or do not fit each other; or the part has no cells, or no controls of a
            covariate state.
    """
    data = read_curated(curated)
    parts = read_split(split, data.obs.index)
    truth = observed(data, parts, which)
    if not truth.n_obs:
        raise InputError(
            f"No cell is in {which}", where=split, fix=f"Its parts: {some(sorted({*parts} - {''})) or 'none'}."
        )
    require_controls_per_state(truth.obs, data.info.keys, where=f"{split}, {which} cells")
    return truth, observed(data, parts, "train"), data.info.keys


def observed(data: CuratedData, split: pd.Series, which: str) -> ad.AnnData:
    """The cells of one part, perturbed and control, with their log1p expression.

    Args:
        data: a curated file.
        split: cell → part.
        which: ``train``, ``val`` or ``test``.

    Raises:
        InputError: there is no such part, or the split is of other cells.
    """
    if which not in SPLIT_NAMES:
        raise InputError(f"No part {which!r}", where="split", fix=nearest(which, SPLIT_NAMES))
    mask = split_labels(split, data) == which
    columns = [data.info.keys.perturbation, *data.info.keys.covariates]
    return ad.AnnData(data.X[mask], obs=data.obs.loc[mask, columns].copy(), var=pd.DataFrame(index=list(data.genes)))
