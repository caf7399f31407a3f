"""Read Seurat objects from an RDS file: counts, cells, genes.

An object holds assays; an assay's matrices are slots (``Assay``, SeuratObject 3 and 4) or layers (``Assay5``).
Graphs, dense matrices (scaled values, embeddings) and normalised values are dropped as soon as they are read.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import scipy.sparse as sp

from perturbench_lamin.errors import InputError, nearest
from perturbench_lamin.ingestion.r_matrix import counts_of_dgc_matrix
from perturbench_lamin.ingestion.r_objects import RObject
from perturbench_lamin.ingestion.r_reader import Constructors
from perturbench_lamin.ingestion.r_tables import named_rows, to_table
from perturbench_lamin.ingestion.rds import contradictions_named, read_rds
from perturbench_lamin.ingestion.seurat_assay import assay_cells, assay_counts, assay_genes

ASSAY = "RNA"


@dataclass(frozen=True)
class SeuratObject:
    """One Seurat object.

    Attributes:
        assay: the name of the assay that was read.
        counts: CSR, cells × genes; float32 where that is exact.
        obs: a row per cell (R's ``meta.data``).
        var: a row per gene (the assay's table of features).
    """

    assay: str
    counts: sp.csr_matrix
    obs: pd.DataFrame
    var: pd.DataFrame


def read_seurat(path: str | Path, *, assay: str | None = None) -> SeuratObject:
    """Read the counts of one assay of a Seurat object.

    Memory is that of the counts and of one further matrix while it is read, twice the counts at most in an object
    of counts and normalised values.

    Args:
        path: an RDS file of one Seurat object.
        assay: the assay's name; None takes ``RNA``, or the active assay where there is none of that name.

    Raises:
        InputError: the file holds another class, or there is no such assay, or it has no counts.
        IntegrityError: the file is truncated, or the object's parts contradict each other.
    """
    found = read_rds(path, CONSTRUCTORS)
    with contradictions_named(path):
        return _built(found, assay, path)


def _built(found: Any, assay: str | None, path: str | Path) -> SeuratObject:
    _require_seurat(found, path)
    name = _assay_name(found, assay, path)
    where = f"{path}, assay {name}"
    held = found.slot("assays").element(name)
    counts = assay_counts(held, where)
    obs = assay_cells(held, to_table(found.slot("meta.data"), where=f"{path}, meta.data"), counts.cells)
    var = assay_genes(held, counts.genes, where)
    return SeuratObject(
        name,
        counts.matrix,
        named_rows(obs, counts.cells, counts.matrix.shape[0], f"{path}, meta.data"),
        named_rows(var, counts.genes, counts.matrix.shape[1], f"{where}, features"),
    )


def _require_seurat(obj: Any, where: object) -> None:
    kind = obj.r_class if isinstance(obj, RObject) else "NULL" if obj is None else "dgCMatrix"
    if kind == "Seurat":
        return
    advice = {
        "cell_data_set": "A cell_data_set is read by read_cell_data_sets.",
        "seurat": "Seurat 2 wrote it: in R, x <- Seurat::UpdateSeuratObject(x), and save it again.",
    }
    raise InputError(
        f"The object is of class {kind!r}, not a Seurat object",
        where=where,
        fix=advice.get(kind, "Give an RDS of one Seurat object."),
    )


def _assay_name(obj: RObject, wanted: str | None, where: object) -> str:
    assays = obj.slot("assays")
    names = assays.names if assays is not None else []
    active = obj.slot("active.assay")
    name = wanted or (ASSAY if ASSAY in names or active is None or not active.value else str(active.value[0]))
    if name not in names:
        raise InputError(f"No assay {name!r}", where=where, fix=nearest(name, names))
    return name


def _without_values(obj: RObject) -> RObject:
    """Drop the values of a dense matrix: scaled values and embeddings, which can be larger than the counts."""
    if obj.slot("dim") is not None:
        obj.value = np.zeros(0)
    return obj


CONSTRUCTORS: Constructors = {
    "dgCMatrix": counts_of_dgc_matrix,
    "double": _without_values,
    "Graph": lambda _: RObject("other"),
}
