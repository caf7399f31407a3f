"""Tiny curated files, whose metadata are what a test says, and gene tables."""

from __future__ import annotations

from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
from scipy import sparse

from perturbench_lamin.conditions import ObsKeys, token_table
from perturbench_lamin.contracts import COUNTS_LAYER, UNS_KEY, CuratedInfo
from perturbench_lamin.curation.writer import writable

GENES = {
    "ENSG00000105610": "KLF1",
    "ENSG00000245848": "CEBPA",
    "ENSG00000143674": "MAP3K21",
    "ENSG00000171862": "PTEN",
    "ENSG00000120738": "EGR1",
    "ENSG00000141510": "TP53",
}


def write_gene_table(path: Path, genes: dict[str, str], biotype: str = "protein_coding") -> Path:
    path.write_text("".join(f"{one},{symbol},1,1000,{biotype}\n" for one, symbol in genes.items()))
    return path


def write_curated(
    path: Path,
    rows: list[dict[str, object]],
    *,
    genes: dict[str, str] | None = None,
    covariates: tuple[str, ...] = ("cell_type",),
    delimiter: str | None = "+",
    ids: bool = True,
) -> Path:
    """A curated file with a cell for each row of ``obs``, and the genes (Ensembl id to symbol)."""
    genes = dict(sorted((genes or GENES).items(), key=lambda item: item[1]))
    obs = pd.DataFrame(rows).assign(ncounts=1.0, ngenes=1)
    obs.index = pd.Index([f"cell{number}" for number in range(len(obs))])
    flags = dict.fromkeys(("highly_variable", "differentially_expressed", "perturbed"), True)
    var = pd.DataFrame({**({"ensembl_id": list(genes)} if ids else {}), **flags}, index=list(genes.values()))
    keys = ObsKeys(covariates=covariates, delimiter=delimiter)
    info = CuratedInfo("", keys, {}, token_table(obs["condition"], keys))
    counts = sparse.csr_matrix(np.ones((len(obs), len(var)), dtype=np.int32))
    adata = ad.AnnData(counts.astype(np.float32), obs=writable(obs, "obs"), var=writable(var, "var"))
    adata.layers[COUNTS_LAYER] = counts
    adata.uns[UNS_KEY] = info.to_uns()
    adata.write_h5ad(path)
    return path


def cells(*conditions: str, **columns: object) -> list[dict[str, object]]:
    """A control and two cells of each condition, alike in the other columns."""
    return [{"condition": one, **columns} for one in ("control", *conditions) for _ in range(2)]
