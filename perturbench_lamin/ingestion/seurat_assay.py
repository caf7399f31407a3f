"""The counts and the genes of one assay of a Seurat object, in either layout of the class."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import scipy.sparse as sp

from perturbench_lamin.errors import InputError, IntegrityError, some
from perturbench_lamin.ingestion.r_matrix import CellsByGenes, OtherValues
from perturbench_lamin.ingestion.r_objects import RObject
from perturbench_lamin.ingestion.r_tables import to_table

COUNTS = "counts"


def assay_counts(assay: RObject, where: str) -> CellsByGenes:
    """The counts of an assay, cells × genes.

    ``Assay5`` names cells and genes once for all layers, in a logical matrix of names × layers; its counts may be
    split into several layers (``counts.1``, ``counts.2``), each of some cells, which are put together.

    Raises:
        InputError: there are no counts, or their layers have different genes.
        IntegrityError: names and matrices contradict each other.
    """
    if assay.slot("layers") is None:
        return _require_counts(assay.slot(COUNTS), where)
    layers = dict(zip(assay.slot("layers").names, assay.slot("layers").value, strict=True))
    wanted = [name for name in layers if name == COUNTS or name.startswith(f"{COUNTS}.")]
    if not wanted:
        raise InputError("No layer of counts", where=where, fix=f"Its layers: {some(layers) if layers else 'none'}.")
    return _stacked(
        assay, [_named_layer(assay, name, layers[name], f"{where}, layer {name}") for name in wanted], where
    )


def assay_genes(assay: RObject, genes: list[str], where: str) -> pd.DataFrame:
    """The assay's table of genes, of those that its counts have."""
    if assay.slot("layers") is None:
        return to_table(assay.slot("meta.features"), where=f"{where}, features")
    table = to_table(assay.slot("meta.data"), where=f"{where}, features")
    names, _ = _name_map(assay, "features", where)
    table = table if len(table) else pd.DataFrame(index=pd.RangeIndex(len(names)))
    if len(table) != len(names):
        raise IntegrityError(f"{len(table):,} rows for {len(names):,} names", where=f"{where}, features")
    return table.set_axis(pd.Index(names, dtype=object)).loc[genes]


def assay_cells(assay: RObject, obs: pd.DataFrame, cells: list[str]) -> pd.DataFrame:
    """The object's table of cells, of those that the assay has: an ``Assay5`` may have fewer than the object."""
    has_all = assay.slot("layers") is None or not set(cells) < set(obs.index)
    return obs if has_all else obs.loc[cells]


def _require_counts(found: Any, where: str) -> CellsByGenes:
    if isinstance(found, CellsByGenes):
        return found
    if isinstance(found, OtherValues):
        raise InputError(
            f"Its counts are no raw counts: {found.example!r} is among them",
            where=where,
            fix="Take the object with raw counts; normalised values cannot be turned back.",
        )
    kind = found.r_class if isinstance(found, RObject) else "NULL"
    raise InputError(
        f"Its counts are of class {kind!r}, or empty",
        where=where,
        fix="In R, make them a dgCMatrix: as(GetAssayData(x, 'counts'), 'CsparseMatrix').",
    )


def _named_layer(assay: RObject, name: str, found: Any, where: str) -> CellsByGenes:
    counts = _require_counts(found, where)
    named = CellsByGenes(
        counts.matrix, counts.cells or _names(assay, "cells", name, where), _names(assay, "features", name, where)
    )
    if named.matrix.shape != (len(named.cells), len(named.genes)):
        raise IntegrityError(
            f"{len(named.cells):,} cells and {len(named.genes):,} genes are named for a matrix of "
            f"{named.matrix.shape[0]:,} × {named.matrix.shape[1]:,}",
            where=where,
        )
    return named


def _stacked(assay: RObject, parts: list[CellsByGenes], where: str) -> CellsByGenes:
    """The layers as one matrix, in the assay's order of cells."""
    genes, (cells, _) = parts[0].genes, _name_map(assay, "cells", where)
    if any(part.genes != genes for part in parts):
        raise InputError(
            "The layers of counts have different genes",
            where=where,
            fix="In R: x <- JoinLayers(x), which takes a gene that a layer lacks as zero.",
        )
    if len(parts) == 1 and parts[0].cells == cells:
        return parts[0]
    place = {name: row for row, name in enumerate(name for part in parts for name in part.cells)}
    if sorted(place) != sorted(cells) or len(place) != sum(len(part.cells) for part in parts):
        raise IntegrityError("The layers of counts do not have every cell once", where=where)
    matrix = sp.vstack([part.matrix for part in parts], format="csr")
    return CellsByGenes(sp.csr_matrix(matrix[np.array([place[name] for name in cells])]), cells, genes)


def _names(assay: RObject, slot: str, layer: str, where: str) -> list[str]:
    """The names of a layer's cells or genes."""
    names, layers = _name_map(assay, slot, where)
    if layer not in layers:
        raise IntegrityError(f"Its {slot} do not know the layer {layer!r}", where=where)
    return [name for name, inside in zip(names, layers[layer], strict=True) if inside]


def _name_map(assay: RObject, slot: str, where: str) -> tuple[list[str], dict[str, np.ndarray]]:
    """All names, and for each layer which of them it has: R's ``LogMap``."""
    table = assay.slot(slot)
    dim_names = table.slot("dimnames") if isinstance(table, RObject) else None
    if dim_names is None or any(names is None for names in dim_names.value):
        raise IntegrityError(f"The names of its {slot} are missing", where=where)
    rows, layers = ([str(name) for name in names.value] for names in dim_names.value)
    if len(table.value) != len(rows) * len(layers):
        raise IntegrityError(f"The table of its {slot} has another size than its names", where=where)
    columns = np.asarray(table.value).reshape(len(layers), len(rows)) == 1
    return rows, dict(zip(layers, columns, strict=True))
