"""Small cells to evaluate, and a slow plain implementation to hold the fast one to."""

from __future__ import annotations

import numpy as np
import pandas as pd
from anndata import AnnData
from scipy import sparse

from perturbench_lamin.conditions import ObsKeys

KEYS = ObsKeys()


def make_cells(
    seed: int = 0,
    *,
    conditions: int = 5,
    states: int = 2,
    cells: int = 6,
    genes: int = 12,
    controls: bool = True,
) -> AnnData:
    """log1p-like cells: ``cells`` of each condition in each state, as CSR float32, in mixed order."""
    rng = np.random.default_rng(seed)
    names = [*(["control"] if controls else []), *(f"p{i}" for i in range(conditions))]
    pairs = [(condition, f"ct{state}") for state in range(states) for condition in names for _ in range(cells)]
    obs = pd.DataFrame(pairs, columns=["condition", "cell_type"], index=[f"c{i}" for i in range(len(pairs))])
    effect = {pair: rng.gamma(2.0, 1.0, genes) for pair in sorted(set(pairs))}
    counts = rng.poisson(np.stack([effect[pair] for pair in pairs]))
    X = sparse.csr_matrix(np.log1p(counts).astype(np.float32))
    adata = AnnData(X, obs=obs.astype("category"), var=pd.DataFrame(index=[f"g{i:03d}" for i in range(genes)]))
    return adata[rng.permutation(len(pairs))].copy()


def plain_mean(adata: AnnData, state: str, condition: str) -> np.ndarray:
    """Mean expression of one condition in one state."""
    mask = ((adata.obs["cell_type"] == state) & (adata.obs["condition"] == condition)).to_numpy()
    return np.asarray(adata.X[mask].toarray(), dtype=np.float64).mean(axis=0)


def values(table: pd.DataFrame, metric: str) -> np.ndarray:
    """One metric's values, in the table's order."""
    return table.loc[table["metric"] == metric, "value"].to_numpy()
