"""Open deposited h5ad files: the tables of cells and genes, and a check of the counts, without loading them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from perturbench_lamin.errors import InputError, nearest
from perturbench_lamin.ingestion.check import check_h5ad
from perturbench_lamin.ingestion.counts_h5ad import other_value
from perturbench_lamin.storage.anndata_file import AnnDataFile
from perturbench_lamin.storage.matrix import StoredMatrix

REQUIRED_OBS = ("perturbation",)
LAYOUTS = {"csr": "csr_matrix", "csc": "csc_matrix", "dense": "array"}


@dataclass(frozen=True)
class H5adTables:
    """What stands around the matrix of an h5ad file.

    Attributes:
        path: the file; the matrix is read from it later, in chunks.
        obs: a row per cell.
        var: a row per gene of the matrix.
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
        matrix: where the counts are: ``X``, or such as ``layers/counts`` or ``raw/X``.

    Raises:
        InputError: a column or the matrix is missing, its layout is another, or its values are not counts (whole and
            not negative, looked at in a sample).
        IntegrityError: the file is truncated, not an h5ad file, or contradicts itself.
    """
    path = Path(path)
    check_h5ad(path)
    with AnnDataFile(path) as file:
        if matrix not in file:
            raise InputError(f"No matrix {matrix!r}", where=path, fix=nearest(matrix, file.names(_parent(matrix))))
        stored, obs = file.matrix(matrix), file.obs
        _require_columns(obs, required_obs, path)
        _require_counts(stored, path)
        var = file.table("raw/var").frame() if matrix.startswith("raw/") else file.var
        return H5adTables(path, obs, var, stored.entries, LAYOUTS[stored.format])


def _parent(place: str) -> str:
    return place.rpartition("/")[0]


def _require_columns(obs: pd.DataFrame, required: tuple[str, ...], path: Path) -> None:
    for column in required:
        if column not in obs.columns:
            raise InputError(f"No column {column!r} of cells", where=path, fix=nearest(column, obs.columns))


def _require_counts(matrix: StoredMatrix, path: Path) -> None:
    example = other_value(matrix)
    if example is not None:
        raise InputError(
            f"{matrix.place} does not hold raw counts: {example!r} is among its values",
            where=path,
            fix="Take the file of raw counts; normalised values cannot be turned back.",
        )
