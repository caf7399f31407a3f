"""Build the R objects that a Seurat object is made of (SeuratObject 4: class ``Assay``)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import scipy.sparse as sp

from perturbench_lamin.ingestion.r_objects import RObject
from perturbench_lamin.simulation import r_values as r

SCALE = 10_000.0
"""Counts a cell that Seurat normalises to by default."""


def seurat(counts: sp.csr_matrix, obs: pd.DataFrame, genes: Sequence[str]) -> RObject:
    """A Seurat object with one assay, RNA: counts, and log-normalised values beside them.

    Args:
        counts: cells × genes.
        obs: the table of cells, by name.
        genes: the genes' names.
    """
    cells = [str(name) for name in obs.index]
    identity = r.factor(pd.Categorical(["Simulated"] * len(cells)))
    identity.attributes["names"] = r.character(cells)
    return r.s4(
        "Seurat",
        "SeuratObject",
        assays=r.named_list({"RNA": assay(counts, cells, genes)}),
        **{
            "meta.data": r.base_table(obs),
            "active.assay": r.character(["RNA"]),
            "active.ident": identity,
            "project.name": r.character(["SeuratProject"]),
            "version": r.version(4, 1, 3),
        },
        **{name: r.plain_list() for name in ("graphs", "neighbors", "reductions", "images")},
        **{name: r.plain_list() for name in ("misc", "commands", "tools")},
    )


def assay(counts: sp.csr_matrix, cells: Sequence[str], genes: Sequence[str]) -> RObject:
    """An ``Assay``: its matrices and its table of genes."""
    empty = RObject("double", np.zeros(0), {"dim": r.integer([0, 0])})
    return r.s4(
        "Assay",
        "SeuratObject",
        counts=r.dgc_matrix(counts, genes, cells),
        data=r.dgc_matrix(_log_normalised(counts), genes, cells),
        key=r.character(["rna_"]),
        **{
            "scale.data": empty,
            "assay.orig": r.NULL,
            "var.features": RObject("logical", np.zeros(0, dtype=np.int32)),
            "meta.features": r.base_table(pd.DataFrame(index=pd.Index(genes))),
            "misc": r.plain_list(),
        },
    )


def _log_normalised(counts: sp.csr_matrix) -> sp.csr_matrix:
    values = counts.astype(np.float64)
    totals = np.maximum(np.asarray(values.sum(axis=1)).ravel(), 1.0)
    values.data = np.log1p(values.data / np.repeat(totals, np.diff(values.indptr)) * SCALE)
    return values
