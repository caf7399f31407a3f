"""Small random files to compare."""

from __future__ import annotations

import anndata as ad
import numpy as np
import pandas as pd
from scipy import sparse


def random_cells(rng: np.random.Generator, cells: int = 12, genes: int = 8) -> ad.AnnData:
    """Curated cells: log1p expression, counts, columns of several kinds. Each cell has three counts or more."""
    counts = rng.poisson(1.0, (cells, genes)).astype(np.int32)
    for cell in counts:
        cell[rng.choice(genes, 3, replace=False)] += 1 + rng.integers(0, 5, 3, dtype=np.int32)
    expression = np.log1p(counts / counts.sum(axis=1, keepdims=True) * 1e4).astype(np.float32)
    names = rng.permutation(["".join(rng.choice(list("ACGT"), 12)) + str(k) for k in range(cells)])
    obs = pd.DataFrame(
        {
            "condition": pd.Categorical(rng.choice(["control", "KLF1", "MYC", "KLF1+MYC"], cells)),
            "cell_type": rng.choice(["K562", "A549"], cells),
            "ncounts": counts.sum(axis=1),
            "percent_mito": rng.random(cells),
            "good": rng.random(cells) < 0.8,
        },
        index=names.astype(object),
    )
    var = pd.DataFrame(
        {"ensembl_id": [f"ENSG{k:011d}" for k in range(genes)]}, index=[f"GENE{k}" for k in range(genes)]
    )
    made = ad.AnnData(sparse.csr_matrix(expression), obs, var, uns={"about": {"seed": 1, "name": "small"}})
    made.layers["counts"] = sparse.csr_matrix(counts)
    return made


def permuted(adata: ad.AnnData, rng: np.random.Generator) -> ad.AnnData:
    """The same cells and genes in another order."""
    return adata[rng.permutation(adata.n_obs), rng.permutation(adata.n_vars)].copy()
