"""Read of a curated file what a model needs: log1p expression, cells, genes; the counts stay on disk."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy import sparse

from perturbench_lamin.conditions import Remark, check_obs
from perturbench_lamin.contracts import CuratedInfo
from perturbench_lamin.errors import InputError, nearest, some
from perturbench_lamin.loading.checked_chunks import require_expression
from perturbench_lamin.loading.compact_rows import CompactRows, read_compact
from perturbench_lamin.loading.header import read_info
from perturbench_lamin.loading.row_store import RowStore, unpack
from perturbench_lamin.loading.vocabulary import tokens_by_table
from perturbench_lamin.storage.anndata_file import AnnDataFile


@dataclass(frozen=True)
class CuratedData:
    """A curated file without its counts.

    Attributes:
        X: log1p expression, cells × genes, canonical CSR of float32: scipy's in memory, or what is read by rows
            alone: a :class:`~perturbench_lamin.loading.compact_rows.CompactRows` where it was read with
            ``memory="compact"``, a :class:`~perturbench_lamin.loading.row_store.RowStore` with ``memory="disk"``.
        obs: the cells' table; each condition has one spelling.
        genes: the names of the columns of ``X``.
        info: the file's words about itself.
        source: where it came from, for error messages.
        embedding: an obsm matrix (cells × width, float32), where one was asked for.
        embedding_name: its key in obsm.
        remarks: on the names of conditions and covariates.
    """

    X: Any
    obs: pd.DataFrame
    genes: tuple[str, ...]
    info: CuratedInfo
    source: str = "data"
    embedding: np.ndarray | None = None
    embedding_name: str = ""
    remarks: tuple[Remark, ...] = ()

    @property
    def embedding_widths(self) -> dict[str, int]:
        """The embedding's name and width; empty without one."""
        return {} if self.embedding is None else {self.embedding_name: self.embedding.shape[1]}


def read_curated(
    path: str | Path, *, memory: str = "memory", scratch: str | Path | None = None, embedding: str = ""
) -> CuratedData:
    """Read a curated h5ad file.

    Args:
        path: the file.
        memory: where its expression goes: ``memory``; ``compact`` to hold it there in fewer bytes; ``disk`` to unpack
            it into files without names; ``none`` to leave it out (all rows are then empty).
        scratch: the folder of these files; by default where TMPDIR points.
        embedding: a key of obsm to read too; none by default.

    Raises:
        InputError: there is no such file, it is not a curated h5ad file, its expression is not finite, or counts, or it
            lacks the embedding.
        IntegrityError: it is damaged.
    """
    if memory not in READERS:
        raise InputError(f"No way to read {memory!r}", where="memory", fix=nearest(memory, READERS))
    path = Path(path)
    if not path.exists():
        raise InputError("No such curated file", where=path, fix="Make one with `perturbench-lamin preprocess`.")
    with AnnDataFile(path) as file:
        file.require("X", "obs", "var")
        info = read_info(file)
        obs, genes = file.obs, file.var_table.names
        X = READERS[memory](path, scratch, (len(obs), len(genes)))
        data = _together(X, obs, genes, info, str(path))
        return with_embedding(data, embedding, embeddings(file, embedding)) if embedding else data


def embeddings(file: AnnDataFile, name: str) -> dict[str, Any]:
    """The arrays of an open file's obsm: the named one with its values, the others by name alone."""
    return {key: file.element(f"obsm/{key}") if key == name else None for key in file.names("obsm")}


def with_embedding(data: CuratedData, name: str, obsm: Mapping[str, Any]) -> CuratedData:
    """The data with an embedding of its cells.

    Args:
        data: a curated file.
        name: a key of ``obsm``.
        obsm: name to matrix, a row for each cell.

    Raises:
        InputError: there is no such key, or its rows are not the cells, finite numbers each.
    """
    if name not in obsm:
        raise InputError(f"No embedding {name!r}", where=f"{data.source}, obsm", fix=nearest(name, list(obsm)))
    values = np.asarray(obsm[name])
    good = values.ndim == 2 and len(values) == len(data.obs) and values.dtype.kind in "fiu"
    if not good or not np.isfinite(values).all():
        raise InputError(
            f"The embedding {name!r} is not a matrix of finite numbers with a row for each cell",
            where=f"{data.source}, obsm",
            fix="Make it again for these cells.",
        )
    return replace(data, embedding=np.ascontiguousarray(values, dtype=np.float32), embedding_name=name)


def curated(X: Any, obs: pd.DataFrame, genes: Any, info: CuratedInfo, *, source: str = "data") -> CuratedData:
    """Check the parts of a curated file and put them together.

    Args:
        X: cells × genes, sparse or dense, log1p.
        obs: the cells' table, indexed by cell name.
        genes: gene names.
        info: which columns hold conditions and covariates.
        source: where they came from, for error messages.

    Raises:
        InputError: a column or value is missing, a gene occurs twice, or ``X`` has NaN or infinite values or counts.
    """
    return _together(_canonical(X, source), obs, genes, info, source)


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


def _together(X: Any, obs: pd.DataFrame, genes: Any, info: CuratedInfo, source: str) -> CuratedData:
    checked = check_obs(obs, info.keys, where=source, controls=False, tokens=tokens_by_table(info))
    names = tuple(str(gene) for gene in genes)
    if len(set(names)) < len(names):
        raise InputError("Gene names occur more than once", where=source, fix="Make var names unique.")
    return CuratedData(X, checked.obs, names, info, source, remarks=checked.remarks)


def _canonical(X: Any, source: str) -> sparse.csr_matrix:
    matrix = sparse.csr_matrix(X, dtype=np.float32)
    require_expression(matrix.data, source)
    if not matrix.has_canonical_format:
        matrix = matrix.copy()
        matrix.sum_duplicates()
    return matrix


READERS: dict[str, Callable[[Path, str | Path | None, tuple[int, int]], sparse.csr_matrix | CompactRows | RowStore]] = {
    "memory": lambda path, scratch, shape: read_compact(path, np.int32).matrix(),
    "compact": lambda path, scratch, shape: read_compact(path),
    "disk": lambda path, scratch, shape: unpack(path, scratch),
    "none": lambda path, scratch, shape: sparse.csr_matrix(shape, dtype=np.float32),
}
