"""Build R objects: vectors, factors, lists, S4 objects, and the few classes a ``cell_data_set`` is made of."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import scipy.sparse as sp

from perturbench_lamin.ingestion.r_objects import NULL_SLOT, RObject

NULL = RObject("symbol", NULL_SLOT)
"""What S4 objects keep in a slot that is NULL."""


def character(values: Iterable[str | None]) -> RObject:
    """A character vector."""
    return RObject("character", list(values))


def integer(values: npt.ArrayLike) -> RObject:
    """An integer vector."""
    return RObject("integer", np.atleast_1d(np.asarray(values, dtype=np.int32)))


def double(values: npt.ArrayLike) -> RObject:
    """A numeric vector."""
    return RObject("double", np.atleast_1d(np.asarray(values, dtype=np.float64)))


def factor(values: pd.Categorical) -> RObject:
    """A factor."""
    levels = character(str(level) for level in values.categories)
    codes = np.where(values.codes < 0, np.iinfo(np.int32).min, values.codes.astype(np.int64) + 1)
    return RObject("integer", codes.astype(np.int32), {"levels": levels, "class": character(["factor"])})


def named_list(items: Mapping[str, Any]) -> RObject:
    """A list with names."""
    return RObject("list", list(items.values()), {"names": character(items)})


def plain_list(items: Sequence[Any] = ()) -> RObject:
    """A list without names."""
    return RObject("list", list(items))


def s4(r_class: str, package: str, **slots: Any) -> RObject:
    """An S4 object."""
    declared = RObject("character", [r_class], {"package": character([package])})
    return RObject("S4", None, {**slots, "class": declared})


def environment(variables: Mapping[str, Any]) -> RObject:
    """An environment."""
    return RObject("environment", dict(variables))


def simple_list(items: Mapping[str, Any] | None = None) -> RObject:
    """S4Vectors' ``SimpleList``."""
    data = named_list(items) if items else plain_list()
    return s4("SimpleList", "S4Vectors", listData=data, **_annotations("ANY"))


def data_frame(n_rows: int, columns: Mapping[str, Any] | None = None, rows: Sequence[str] | None = None) -> RObject:
    """S4Vectors' ``DFrame``."""
    return s4(
        "DFrame",
        "S4Vectors",
        rownames=NULL if rows is None else character(rows),
        nrows=integer(n_rows),
        listData=named_list(columns or {}),
        **_annotations("ANY"),
    )


def table(frame: pd.DataFrame) -> RObject:
    """A pandas table as a ``DFrame``: categories as factors, texts and numbers as vectors."""
    columns = {str(name): _column(frame[name]) for name in frame.columns}
    return data_frame(len(frame), columns, [str(name) for name in frame.index])


def base_table(frame: pd.DataFrame) -> RObject:
    """A pandas table as base R's ``data.frame``."""
    columns = named_list({str(name): _column(frame[name]) for name in frame.columns})
    columns.attributes |= {"class": character(["data.frame"]), "row.names": character(map(str, frame.index))}
    return columns


def version(*numbers: int) -> RObject:
    """A package's version."""
    return RObject("list", [integer(numbers)], {"class": character(["package_version", "numeric_version"])})


def dgc_matrix(cells_by_genes: sp.csr_matrix, genes: Sequence[str], cells: Sequence[str]) -> RObject:
    """Matrix's ``dgCMatrix``, genes × cells: the rows of the CSR matrix are its columns."""
    return s4(
        "dgCMatrix",
        "Matrix",
        i=integer(cells_by_genes.indices),
        p=integer(cells_by_genes.indptr),
        Dim=integer([len(genes), len(cells)]),
        Dimnames=plain_list([character(genes), character(cells)]),
        x=double(cells_by_genes.data),
        factors=plain_list(),
    )


def row_ranges(genes: pd.DataFrame) -> RObject:
    """An empty ``CompressedGRangesList`` that carries the genes' table, as monocle3 makes it."""
    n = len(genes)
    metadata = data_frame(n, {str(name): _column(genes[name]) for name in genes.columns})
    ends = s4(
        "PartitioningByEnd",
        "IRanges",
        end=integer(np.zeros(n)),
        NAMES=character(genes.index),
        **_annotations("ANY"),
    )
    return s4(
        "CompressedGRangesList",
        "GenomicRanges",
        unlistData=_no_ranges(),
        elementMetadata=metadata,
        elementType=character(["GRanges"]),
        metadata=plain_list(),
        partitioning=ends,
    )


def _no_ranges() -> RObject:
    none = integer([])
    strands = factor(pd.Categorical([], categories=["+", "-", "*"]))
    plain = {"elementMetadata": NULL, "metadata": plain_list()}
    return s4(
        "GRanges",
        "GenomicRanges",
        seqnames=s4("Rle", "S4Vectors", values=factor(pd.Categorical([])), lengths=none, **plain),
        strand=s4("Rle", "S4Vectors", values=strands, lengths=none, **plain),
        ranges=s4("IRanges", "IRanges", start=none, width=none, NAMES=NULL, **_annotations("ANY")),
        seqinfo=s4(
            "Seqinfo",
            "GenomeInfoDb",
            seqnames=character([]),
            seqlengths=none,
            is_circular=RObject("logical", np.zeros(0, dtype=np.int32)),
            genome=character([]),
        ),
        elementMetadata=data_frame(0),
        elementType=character(["ANY"]),
        metadata=plain_list(),
    )


def _annotations(element_type: str) -> dict[str, RObject]:
    return {"elementType": character([element_type]), "elementMetadata": NULL, "metadata": plain_list()}


def _column(values: pd.Series) -> RObject:
    if isinstance(values.dtype, pd.CategoricalDtype):
        return factor(values.array)
    if values.dtype == object:
        return character(values)
    return integer(values) if pd.api.types.is_integer_dtype(values.dtype) else double(values)
