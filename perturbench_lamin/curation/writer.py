"""Writing the curated file, chunk by chunk, in the layout that :func:`anndata.read_h5ad` reads."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import anndata as ad
import h5py
import numpy as np
import pandas as pd

from perturbench_lamin.contracts import COUNTS_LAYER
from perturbench_lamin.curation.blocks import BlockWriter
from perturbench_lamin.errors import InputError, some
from perturbench_lamin.storage.writing import NewHDF5


class CuratedWriter:
    """An h5ad file with log1p values in X and counts in a layer, which share their gene numbers on disk.

    X and ``layers["counts"]`` are non-zero in the same places: their ``indices`` and ``indptr`` are one
    dataset under two names (a hard link), which saves a third of the file. The same input gives the same bytes.

    Use it as a context, which closes the file.

    Args:
        path: the file to write; make it an atomic one's temporary.
        level: gzip's compression level, 1 to 9; 0 for none.
        threads: how many compress.
    """

    def __init__(self, path: Path, level: int = 1, threads: int = 1) -> None:
        self._pool = ThreadPoolExecutor(threads)
        self._file = NewHDF5(path)
        self._file.attrs.update({"encoding-type": "anndata", "encoding-version": "0.1.0"})
        for name in ("layers", "obsm", "varm", "obsp", "varp"):
            ad.io.write_elem(self._file, name, {})
        matrices = [self._file.create_group("X"), self._file["layers"].create_group(COUNTS_LAYER)]
        for group in matrices:
            group.attrs.update({"encoding-type": "csr_matrix", "encoding-version": "0.1.0"})
        self._groups = matrices
        self._values = BlockWriter(matrices[0], "data", np.float32, level, shuffle=False)
        self._counts = BlockWriter(matrices[1], "data", np.int32, level)
        self._indices = BlockWriter(matrices[0], "indices", np.int32, level)
        self._lengths: list[np.ndarray] = []

    def append(self, values: np.ndarray, counts: np.ndarray, indices: np.ndarray, lengths: np.ndarray) -> None:
        """Add rows: float32 log1p values, int32 counts, int32 gene numbers, and each row's number of entries."""
        self._file.check()
        for writer, array in ((self._values, values), (self._counts, counts), (self._indices, indices)):
            writer.append(array, self._pool)
        self._lengths.append(lengths)

    def finish(self, obs: pd.DataFrame, var: pd.DataFrame, uns: dict[str, Any]) -> None:
        """Write the row pointers and the tables (see :func:`writable`)."""
        for writer in (self._values, self._counts, self._indices):
            writer.finish()
        indptr = np.concatenate([[0], np.cumsum(np.concatenate([*self._lengths, np.zeros(0, dtype=np.int64)]))])
        small = indptr[-1] <= np.iinfo(np.int32).max
        self._groups[0]["indptr"] = indptr.astype(np.int32 if small else np.int64)
        for name in ("indices", "indptr"):
            self._groups[1][name] = self._groups[0][name]
        for group in self._groups:
            group.attrs["shape"] = np.array([len(obs), len(var)], dtype=np.int64)
        ad.io.write_elem(self._file, "obs", obs)
        ad.io.write_elem(self._file, "var", var)
        ad.io.write_elem(self._file, "uns", uns)

    def __enter__(self) -> CuratedWriter:
        return self

    def __exit__(self, *error: Any) -> None:
        """Close the file, whatever its state."""
        self._pool.shutdown(cancel_futures=True)
        self._file.__exit__(*error)


def writable(table: pd.DataFrame, where: str) -> pd.DataFrame:
    """The table as HDF5 can hold it: text as categories (sorted) where values repeat or lack, else as plain text.

    Raises:
        InputError: a column mixes text with other values, or holds what an h5ad file cannot.
    """
    table = table.copy()
    table.index = table.index.astype(str)
    for name in table.columns:
        column = table[name]
        if column.dtype != object and not isinstance(column.dtype, pd.StringDtype):
            continue
        kinds = sorted({type(value).__name__ for value in column.dropna().unique()})
        if kinds not in ([], ["str"]):
            raise InputError(
                f"Column {name!r} mixes {some(kinds)}: an h5ad file cannot hold it",
                where=where,
                fix=f"Make it text ({where}[{name!r}].astype(str)) or drop it.",
            )
        if column.isna().any() or column.nunique() < len(column):
            table[name] = pd.Categorical(column, categories=sorted(column.dropna().unique()))
        else:
            table[name] = column.astype(object)  # whatever kind of text: anndata writes nullable text only if told to
    _require_types(table, where)
    return table


def _require_types(table: pd.DataFrame, where: str) -> None:
    """Write the columns without their rows, in memory: what fails now would fail after all passes."""
    with h5py.File("types", "w", driver="core", backing_store=False) as file:
        for place, name in enumerate(table.columns):
            try:
                ad.io.write_elem(file, str(place), table[[name]].iloc[:0])
            except Exception as error:
                raise InputError(
                    f"Column {name!r} holds {table[name].dtype} values that an h5ad file cannot hold",
                    where=where,
                    fix=f"Make it text ({where}[{name!r}].astype(str)) or drop it.",
                ) from error
