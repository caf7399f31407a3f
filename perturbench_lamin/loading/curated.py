"""Read of a curated file what a model needs: log1p expression, cells, genes; the counts stay on disk."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anndata as ad
import h5py
import numpy as np
import pandas as pd
from scipy import sparse

from perturbench_lamin.conditions import require_obs
from perturbench_lamin.contracts import UNS_KEY, CuratedInfo
from perturbench_lamin.errors import InputError, some


@dataclass(frozen=True)
class CuratedData:
    """A curated file in memory, without its counts.

    Attributes:
        X: log1p expression, cells × genes, canonical CSR of float32.
        obs: the cells' table.
        genes: the names of the columns of ``X``.
        info: the file's words about itself.
        source: where it came from, for error messages.
    """

    X: sparse.csr_matrix
    obs: pd.DataFrame
    genes: tuple[str, ...]
    info: CuratedInfo
    source: str = "data"


def read_curated(path: str | Path) -> CuratedData:
    """Read a curated h5ad file.

    Raises:
        InputError: there is no such file, it is not a curated h5ad file, or its expression is not finite.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError("No such curated file", where=path, fix="Make one with `perturbench-lamin preprocess`.")
    if not h5py.is_hdf5(path):
        raise InputError("Not an h5ad file", where=path, fix="A curated file is HDF5, written by anndata.")
    with h5py.File(path, "r") as file:
        missing = [name for name in ("X", "obs", "var") if name not in file]
        if missing:
            raise InputError(f"No {some(missing)} in the file", where=path, fix="Write it with anndata.")
        uns = {UNS_KEY: _read(file[f"uns/{UNS_KEY}"])} if f"uns/{UNS_KEY}" in file else {}
        info = CuratedInfo.from_uns(uns, where=path)
        return curated(_read(file["X"]), _read(file["obs"]), _read(file["var"]).index, info, source=str(path))


def curated(X: Any, obs: pd.DataFrame, genes: Any, info: CuratedInfo, *, source: str = "data") -> CuratedData:
    """Check the parts of a curated file and put them together.

    Args:
        X: cells × genes, sparse or dense, log1p.
        obs: the cells' table, indexed by cell name.
        genes: gene names.
        info: which columns hold conditions and covariates.
        source: where they came from, for error messages.

    Raises:
        InputError: a column or value is missing, a gene occurs twice, or ``X`` has NaN or infinite values.
    """
    require_obs(obs, info.keys, where=source, controls=False)
    names = tuple(str(gene) for gene in genes)
    if len(set(names)) < len(names):
        raise InputError("Gene names occur more than once", where=source, fix="Make var names unique.")
    matrix = sparse.csr_matrix(X, dtype=np.float32)
    if not np.isfinite(matrix.data).all():
        raise InputError("Expression has NaN or infinite values", where=f"{source}, X", fix="Curate the file again.")
    if not matrix.has_canonical_format:
        matrix = matrix.copy()
        matrix.sum_duplicates()
    return CuratedData(matrix, obs, names, info, source)


def split_labels(split: pd.Series, data: CuratedData) -> np.ndarray:
    """A split's labels in the order of the cells: "train", "val", "test" or "" for an excluded cell.

    Raises:
        InputError: the split and the file do not have the same cells, or a label is unknown.
    """
    cells, names = pd.Index(data.obs.index.astype(str)), pd.Index(split.index.astype(str))
    if not names.is_unique:
        raise InputError("Cell names occur more than once in the split", where="split", fix="Write the split again.")
    absent, extra = cells.difference(names), names.difference(cells)
    if len(absent) or len(extra):
        raise InputError(
            f"The split lacks {len(absent):,} of the file's {len(cells):,} cells and has {len(extra):,} others",
            where=f"split for {data.source}",
            fix=f"Use the split made for this file. For example: {some(map(repr, [*absent[:3], *extra[:3]]))}.",
        )
    labels = split.set_axis(names).reindex(cells).astype(object).fillna("").astype(str).to_numpy(dtype=object)
    unknown = sorted(set(labels) - {"train", "val", "test", ""})
    if unknown:
        raise InputError(
            f"Unknown labels in the split: {some(unknown)}",
            where="split",
            fix="Use train, val, test, or nothing for an excluded cell.",
        )
    return labels


def _read(group: Any) -> Any:
    return ad.io.read_elem(group)
