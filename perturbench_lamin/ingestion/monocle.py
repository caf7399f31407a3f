"""Read monocle3's ``cell_data_set`` objects from an RDS file: counts, cells, genes.

Two layouts of the class are in use. Since SummarizedExperiment 1.20 the assays are a plain object
(``@assays@data``); before, a reference class, whose fields stand in an environment (``@assays@.xData``).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import scipy.sparse as sp

from perturbench_lamin.errors import InputError, some
from perturbench_lamin.ingestion.r_matrix import CellsByGenes, from_dgc_matrix
from perturbench_lamin.ingestion.r_objects import RObject
from perturbench_lamin.ingestion.r_tables import named_rows, to_table
from perturbench_lamin.ingestion.rds import contradictions_named, read_rds

CLASSES = ("cell_data_set", "SingleCellExperiment", "SummarizedExperiment", "RangedSummarizedExperiment")
ASSAY = "counts"


@dataclass(frozen=True)
class CellDataSet:
    """One ``cell_data_set``.

    Attributes:
        name: its name in the list it came from; empty for an object on its own.
        counts: CSR, cells × genes; float32 where that is exact.
        obs: a row per cell (R's ``colData``).
        var: a row per gene (R's ``rowData``).
    """

    name: str
    counts: sp.csr_matrix
    obs: pd.DataFrame
    var: pd.DataFrame


def read_cell_data_sets(path: str | Path) -> list[CellDataSet]:
    """Read every ``cell_data_set`` of an RDS file, in the file's order.

    Each matrix is turned to its final form as soon as it is read, so that memory is that of the result plus
    one matrix's values as R holds them.

    Args:
        path: an RDS file of one object, or of a list of them.

    Raises:
        InputError: the file holds another class, or an object has no ``counts``.
        IntegrityError: the file is truncated, or an object's parts contradict each other.
    """
    found = read_rds(path, {"dgCMatrix": from_dgc_matrix})
    with contradictions_named(path):
        if isinstance(found, RObject) and found.r_class == "list" and found.value:
            names = found.names or [""] * len(found.value)
            return [
                _build(obj, name, f"{path}: {name or position}")
                for position, (name, obj) in enumerate(zip(names, found.value, strict=True), start=1)
            ]
        return [_build(found, "", path)]


def _build(obj: Any, name: str, where: object) -> CellDataSet:
    _require_class(obj, where)
    counts = _counts(obj, where)
    obs = to_table(obj.slot("colData"), where=f"{where}, colData")
    var = _genes(obj, counts.matrix.shape[1], where)
    return CellDataSet(
        name,
        counts.matrix,
        named_rows(obs, counts.cells, counts.matrix.shape[0], f"{where}, colData"),
        named_rows(var, counts.genes, counts.matrix.shape[1], f"{where}, rowData"),
    )


def _require_class(obj: Any, where: object) -> None:
    kind = obj.r_class if isinstance(obj, RObject) else "NULL" if obj is None else "dgCMatrix"
    if kind in CLASSES:
        return
    advice = "a Seurat object is read by read_seurat" if kind == "Seurat" else f"read are {some(CLASSES)}"
    raise InputError(
        f"The object is of class {kind!r}, not a cell_data_set",
        where=where,
        fix=f"Give an RDS of one cell_data_set or of a list of them; {advice}.",
    )


def _counts(obj: RObject, where: object) -> CellsByGenes:
    assays = _assays(obj.slot("assays"))
    counts = assays.element(ASSAY) if assays is not None else None
    if isinstance(counts, CellsByGenes):
        return counts
    if counts is None:
        held = some(assays.names) if assays is not None and assays.names else "none"
        raise InputError(f"No assay {ASSAY!r}", where=where, fix=f"Its assays: {held}.")
    raise InputError(
        f"The assay {ASSAY!r} is of class {counts.r_class!r}",
        where=where,
        fix="In R, make it a dgCMatrix: counts(x) <- as(counts(x), 'CsparseMatrix').",
    )


def _assays(holder: RObject | None) -> RObject | None:
    """The named list of assays, in whichever of the two layouts."""
    if holder is None:
        return None
    fields = holder.slot(".xData")
    # A field with an accessor keeps its value under an arrow.
    data = holder.slot("data") if fields is None else fields.element(".->data") or fields.element("data")
    return data.slot("listData") if isinstance(data, RObject) else None


def _genes(obj: RObject, n_genes: int, where: object) -> pd.DataFrame:
    """The genes' table: with the ranges where there are ranges, in its own slot where there are none."""
    ranges = obj.slot("rowRanges")
    metadata = (ranges or obj).slot("elementMetadata")
    if metadata is None:
        return pd.DataFrame(index=pd.RangeIndex(n_genes))
    table = to_table(metadata, where=f"{where}, rowData")
    names = _range_names(ranges) if ranges is not None else obj.slot("NAMES")
    return table.set_axis(pd.Index(names.value, dtype=object)) if names is not None else table


def _range_names(ranges: RObject) -> RObject | None:
    for holder in ("partitioning", "ranges"):
        part = ranges.slot(holder)
        if part is not None and part.slot("NAMES") is not None:
            return part.slot("NAMES")
    return None
