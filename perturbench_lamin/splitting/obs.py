"""Read the table of cells: from a CSV file, or from an h5ad file without touching its expression matrix."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from perturbench_lamin.errors import InputError
from perturbench_lamin.storage.anndata_file import AnnDataFile, is_zarr


def read_obs(path: str | Path) -> pd.DataFrame:
    """Read which cells there are and what is known of them.

    Args:
        path: ``.csv`` or ``.csv.gz`` with a header, whose first column holds the cell names and of which every
            value is read as text (an empty field is a missing value, but ``NA`` or ``None`` are words); or
            ``.h5ad`` (or a zarr folder), of which only ``obs`` is read.

    Returns:
        The table, indexed by cell name.

    Raises:
        InputError: there is no such file, or it is not of a known format.
        IntegrityError: an h5ad file is damaged or has no obs.
    """
    path = Path(path)
    if path.suffix == ".h5ad" or is_zarr(path):
        with AnnDataFile(path) as file:
            return file.obs
    if not path.is_file():
        raise InputError("No such file", where=path, fix="Check the path.")
    if path.name.endswith((".csv", ".csv.gz")):
        return _read_csv(path)
    raise InputError("Not a table of cells", where=path, fix="Give a .csv, .csv.gz or .h5ad file, or a zarr folder.")


def _read_csv(path: Path) -> pd.DataFrame:
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False, na_values=[""])
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError, OSError, EOFError) as error:
        raise InputError(
            f"Not readable as CSV ({error})", where=path, fix="Give comma-separated UTF-8 text with a header."
        ) from error
    if not isinstance(table.index, pd.RangeIndex):
        raise InputError(
            "The lines have more fields than the header",
            where=path,
            fix="Name the column of cell names too, if only by a leading comma.",
        )
    names = table.iloc[:, 0]
    if names.isna().any():
        raise InputError(
            f"{int(names.isna().sum()):,} cells have no name",
            where=f"{path}, first column",
            fix="The first column must hold the cell names.",
        )
    obs = table.iloc[:, 1:]
    obs.index = pd.Index(names.to_numpy(), dtype=object)
    return obs
