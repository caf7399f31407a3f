"""The observed cells of one part of a split, as the truth of an evaluation."""

from __future__ import annotations

import anndata as ad
import pandas as pd

from perturbench_lamin.contracts import SPLIT_NAMES
from perturbench_lamin.errors import InputError, nearest
from perturbench_lamin.loading.curated import CuratedData, split_labels


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
