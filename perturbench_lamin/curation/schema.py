"""Reading a curated file, and checking that it keeps the contract."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import anndata as ad
import numpy as np

from perturbench_lamin.conditions import require_obs
from perturbench_lamin.contracts import COUNTS_LAYER, CuratedInfo
from perturbench_lamin.errors import InputError
from perturbench_lamin.storage.anndata_file import AnnDataFile
from perturbench_lamin.storage.matrix import checked
from perturbench_lamin.storage.reading import reading

VAR_COLUMNS = ("highly_variable", "differentially_expressed", "perturbed")
OBS_COLUMNS = ("ncounts", "ngenes")


def open_curated(path: str | Path, *, backed: bool = False) -> tuple[ad.AnnData, CuratedInfo]:
    """Read a curated file and what it says of itself.

    Args:
        path: the file.
        backed: leave X on disk.

    Raises:
        InputError: the file does not keep the contract; the message says where.
        IntegrityError: the file is missing pieces or is no HDF5 file.
    """
    path = Path(path)
    with AnnDataFile(path) as file:
        _check_matrices(file, path)
    with reading(path), warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        adata = ad.read_h5ad(path, backed="r" if backed else None)
    for name, matrix in () if backed else (("X", adata.X), (COUNTS_LAYER, adata.layers[COUNTS_LAYER])):
        checked(matrix, f"{path}, {name}")
    info = CuratedInfo.from_uns(adata.uns, where=path)
    _check_tables(adata, info, path)
    return adata, info


def _check_matrices(file: AnnDataFile, path: Path) -> None:
    for name, kinds in (("X", "f"), (f"layers/{COUNTS_LAYER}", "iu")):
        if name not in file:
            raise InputError(f"No {name}", where=path, fix="Make the file with `perturbench-lamin preprocess`.")
        matrix = file.matrix(name)
        if matrix.format != "csr":
            raise InputError(f"{name} is stored as {matrix.format}, not as a CSR matrix", where=path)
        dtype = matrix.stored_dtype
        if dtype.kind not in kinds or (name == "X" and dtype != np.float32):
            wanted = "float32" if name == "X" else "integers"
            raise InputError(f"{name} holds {dtype}, not {wanted}", where=path)


def _check_tables(adata: ad.AnnData, info: CuratedInfo, path: Path) -> None:
    require_obs(adata.obs, info.keys, where=path)
    for table, names, what in ((adata.obs, OBS_COLUMNS, "obs"), (adata.var, VAR_COLUMNS, "var")):
        missing = [name for name in names if name not in table]
        if missing:
            raise InputError(f"No column {', '.join(missing)} in {what}", where=path)
    if not adata.var_names.is_unique:
        raise InputError("A gene name occurs twice", where=path)
    if list(adata.var_names) != sorted(adata.var_names):
        raise InputError("The genes are not sorted by name", where=path, fix="Curate the file again.")
    _check_conditions(adata, info, path)


def _check_conditions(adata: Any, info: CuratedInfo, path: Path) -> None:
    used = set(adata.obs[info.keys.perturbation].astype(str).unique()) - {info.keys.control}
    unknown = sorted(used - set(info.conditions["condition"].astype(str)))
    if unknown:
        raise InputError(
            f"{len(unknown):,} conditions are missing from the table of perturbation tokens",
            where=path,
            fix=f"First: {unknown[0]}. Curate the file again.",
        )
