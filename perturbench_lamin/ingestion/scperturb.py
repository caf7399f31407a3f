"""Open the h5ad files of scPerturb: the tables of cells and genes, and a check of the counts, without loading them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from perturbench_lamin.errors import InputError, nearest
from perturbench_lamin.ingestion.check import check_h5ad

REQUIRED_OBS = ("perturbation",)
SAMPLE = 1 << 16


@dataclass(frozen=True)
class H5adTables:
    """What stands around the matrix of an h5ad file.

    Attributes:
        path: the file; the matrix is read from it later, in chunks.
        obs: a row per cell.
        var: a row per gene.
        n_values: how many values of ``X`` are stored.
    """

    path: Path
    obs: pd.DataFrame
    var: pd.DataFrame
    n_values: int


def open_h5ad(path: str | Path, *, required_obs: tuple[str, ...] = REQUIRED_OBS) -> H5adTables:
    """Read the tables of an h5ad file whose ``X`` must hold raw counts, cells × genes, in CSR.

    Args:
        path: the file.
        required_obs: the columns of cells that must be there.

    Raises:
        InputError: a column is missing, ``X`` is not CSR, or its values are not counts (whole and not negative,
            looked at in a sample).
        IntegrityError: the file is truncated, or not an h5ad file.
    """
    import h5py
    from anndata.io import read_elem

    path = Path(path)
    check_h5ad(path)
    with h5py.File(path, "r") as file:
        obs, var = read_elem(file["obs"]), read_elem(file["var"])
        _require_columns(obs, required_obs, path)
        n_values = _require_counts(file["X"], (len(obs), len(var)), path)
    return H5adTables(path, obs, var, n_values)


def _require_columns(obs: pd.DataFrame, required: tuple[str, ...], path: Path) -> None:
    for column in required:
        if column not in obs.columns:
            raise InputError(f"No column {column!r} of cells", where=path, fix=nearest(column, obs.columns))


def _require_counts(x: Any, shape: tuple[int, int], path: Path) -> int:
    kind = x.attrs.get("encoding-type", "array")
    if kind != "csr_matrix":
        raise InputError(
            f"X is stored as {kind}, not as csr_matrix",
            where=path,
            fix="Write it again with X = scipy.sparse.csr_matrix(X).",
        )
    stored = tuple(int(n) for n in x.attrs["shape"])
    if stored != shape:
        raise InputError(f"X is {stored[0]:,} × {stored[1]:,}, the tables are {shape[0]:,} × {shape[1]:,}", where=path)
    values = x["data"]
    for start in (0, max(0, len(values) - SAMPLE)):
        sample = values[start : start + SAMPLE]
        bad = ~np.isfinite(sample) | (sample < 0) | (sample != np.floor(sample))
        if bad.any():
            raise InputError(
                f"X does not hold raw counts: {sample[bad][0]!r} is among its values",
                where=path,
                fix="Take the file of raw counts; normalised values cannot be turned back.",
            )
    return len(values)
