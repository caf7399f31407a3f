"""Write a prediction a piece at a time, so that memory does not grow with it."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd

from perturbench_lamin.storage.writing import NewHDF5, write_anndata

CHUNK_ROWS = 256


def write_prediction(
    path: Path, obs: pd.DataFrame, var: pd.DataFrame, uns: dict[str, Any], pieces: Iterable[np.ndarray]
) -> None:
    """Write an h5ad file with a dense float32 ``X``.

    Args:
        path: where.
        obs: the rows' table.
        var: the columns' table.
        uns: the file's words about itself.
        pieces: blocks of rows of ``X``, in the order of ``obs``.

    Raises:
        ValueError: the pieces have more or fewer rows than ``obs``.
    """
    with NewHDF5(path) as file:
        write_anndata(file, ad.AnnData(obs=obs, var=var, uns=uns))
        shape = (len(obs), len(var))
        chunks = (min(CHUNK_ROWS, shape[0]), shape[1])
        X = file.create_dataset("X", shape=shape, dtype=np.float32, chunks=chunks)
        X.attrs.update({"encoding-type": "array", "encoding-version": "0.2.0"})
        start = 0
        for piece in pieces:
            X[start : start + len(piece)] = piece
            file.check()
            start += len(piece)
    if start != len(obs):
        raise ValueError(f"{start:,} rows predicted, {len(obs):,} expected")
