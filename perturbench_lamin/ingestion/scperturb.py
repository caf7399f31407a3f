"""Open deposited h5ad files: the tables of cells and genes, and a check of the counts, without loading them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from perturbench_lamin.errors import InputError, nearest
from perturbench_lamin.ingestion.check import check_h5ad
from perturbench_lamin.ingestion.counts_h5ad import other_value

REQUIRED_OBS = ("perturbation",)
LAYOUTS = ("csr_matrix", "csc_matrix", "array")


@dataclass(frozen=True)
class H5adTables:
    """What stands around the matrix of an h5ad file.

    Attributes:
        path: the file; the matrix is read from it later, in chunks.
        obs: a row per cell.
        var: a row per gene.
        n_values: how many values of the matrix are stored.
        layout: how: ``csr_matrix`` (by cells), ``csc_matrix`` (by genes) or ``array`` (dense).
    """

    path: Path
    obs: pd.DataFrame
    var: pd.DataFrame
    n_values: int
    layout: str


def open_h5ad(path: str | Path, *, required_obs: tuple[str, ...] = REQUIRED_OBS, matrix: str = "X") -> H5adTables:
    """Read the tables of an h5ad file, and check that a matrix holds raw counts, cells × genes.

    Args:
        path: the file.
        required_obs: the columns of cells that must be there.
        matrix: where the counts are: ``X``, or such as ``layers/counts``.

    Raises:
        InputError: a column or the matrix is missing, its layout or shape is another, or its values are not counts
            (whole and not negative, looked at in a sample).
        IntegrityError: the file is truncated, or not an h5ad file.
    """
    import h5py
    from anndata.io import read_elem

    path = Path(path)
    check_h5ad(path)
    with h5py.File(path, "r") as file:
        if matrix not in file:
            raise InputError(f"No matrix {matrix!r}", where=path, fix=nearest(matrix, file))
        obs, var = read_elem(file["obs"]), read_elem(file["var"])
        _require_columns(obs, required_obs, path)
        layout = _require_layout(file[matrix], matrix, (len(obs), len(var)), path)
        _require_counts(file[matrix], matrix, path)
        values = file[matrix] if layout == "array" else file[matrix]["data"]
        return H5adTables(path, obs, var, int(values.size), layout)


def _require_columns(obs: pd.DataFrame, required: tuple[str, ...], path: Path) -> None:
    for column in required:
        if column not in obs.columns:
            raise InputError(f"No column {column!r} of cells", where=path, fix=nearest(column, obs.columns))


def _require_layout(x: Any, name: str, shape: tuple[int, int], path: Path) -> str:
    layout = str(x.attrs.get("encoding-type", "array"))
    if layout not in LAYOUTS:
        raise InputError(
            f"{name} is stored as {layout}, not as {' or '.join(LAYOUTS)}",
            where=path,
            fix="Write it again with X = scipy.sparse.csr_matrix(X).",
        )
    stored = tuple(int(n) for n in (x.shape if layout == "array" else x.attrs["shape"]))
    if stored != shape:
        raise InputError(
            f"{name} is {' × '.join(f'{n:,}' for n in stored)}, the tables are {shape[0]:,} × {shape[1]:,}", where=path
        )
    return layout


def _require_counts(x: Any, name: str, path: Path) -> None:
    example = other_value(x)
    if example is not None:
        raise InputError(
            f"{name} does not hold raw counts: {example!r} is among its values",
            where=path,
            fix="Take the file of raw counts; normalised values cannot be turned back.",
        )
