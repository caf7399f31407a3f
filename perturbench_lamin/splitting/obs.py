"""Read the table of cells: from a CSV file, or from an h5ad file without touching its expression matrix."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from perturbench_lamin.errors import InputError
from perturbench_lamin.storage.anndata_file import AnnDataFile, is_zarr
from perturbench_lamin.storage.csv_file import one_column, read_csv

TEXT = (".csv", ".csv.gz", ".tsv", ".tsv.gz")


def read_obs(path: str | Path) -> pd.DataFrame:
    """Read which cells there are and what is known of them.

    Args:
        path: ``.csv``, or ``.tsv`` separated by tabs, or either compressed as ``.gz``, with a header, whose first
            column holds the cell names and of which every value is read as text (an empty field is a missing
            value, but ``NA`` or ``None`` are words); or ``.h5ad`` (or a zarr folder), of which only ``obs`` is read.

    Returns:
        The table, indexed by cell name.

    Raises:
        InputError: there is no such file, or it is not of a known format.
        IntegrityError: a table's compression is damaged, or an h5ad file is, or it has no obs.
    """
    path = Path(path)
    if path.suffix == ".h5ad" or is_zarr(path):
        with AnnDataFile(path) as file:
            return file.obs
    if not path.is_file():
        raise InputError("No such file", where=path, fix="Check the path.")
    if path.name.endswith(TEXT):
        return _read_csv(path)
    raise InputError(
        "Not a table of cells", where=path, fix="Give a .csv, .tsv (also .gz) or .h5ad file, or a zarr folder."
    )


def _read_csv(path: Path) -> pd.DataFrame:
    file = read_csv(path, empty_is_missing=True)
    advice = one_column(file)
    if advice:
        raise InputError("A table of cells needs two columns at least", where=path, fix=advice)
    names = file.table.iloc[:, 0]
    if names.isna().any():
        raise InputError(
            f"{int(names.isna().sum()):,} cells have no name",
            where=f"{file.first(names.isna())}, first column",
            fix="The first column must hold the cell names.",
        )
    obs = file.table.iloc[:, 1:]
    obs.index = pd.Index(names.to_numpy(), dtype=object)
    return obs
