"""A tiny curated file with a known, additive truth: control mean of the state plus the effects of the tokens."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
from scipy import sparse

from perturbench_lamin.conditions import ObsKeys, token_table
from perturbench_lamin.contracts import CuratedInfo
from perturbench_lamin.loading.curated import CuratedData, curated


@dataclass(frozen=True)
class Tiny:
    """What to simulate: every single, the first ``n_pairs`` pairs, and the control, in every state."""

    n_genes: int = 24
    n_tokens: int = 4
    n_pairs: int = 3
    cell_types: tuple[str, ...] = ("K562", "RPE1")
    treatments: tuple[str, ...] = ("none",)
    cells: int = 8
    controls: int = 12
    noise: float = 0.1
    seed: int = 0

    def tokens(self) -> list[str]:
        return [f"G{number}" for number in range(self.n_tokens)]

    def conditions(self) -> list[str]:
        pairs = ["+".join(pair) for pair in combinations(self.tokens(), 2)][: self.n_pairs]
        return ["control", *self.tokens(), *pairs]

    def truth(self) -> tuple[dict[tuple[str, str], np.ndarray], dict[str, np.ndarray]]:
        """The control mean of each state and the effect of each token (genes)."""
        rng = np.random.default_rng(self.seed)
        states = [(cell_type, treatment) for cell_type in self.cell_types for treatment in self.treatments]
        means = {state: rng.uniform(2, 4, self.n_genes) * (rng.random(self.n_genes) > 0.2) for state in states}
        effects = {token: rng.uniform(0, 1.5, self.n_genes) for token in self.tokens()}
        return means, effects

    def data(self) -> CuratedData:
        """The simulated cells, in a shuffled order."""
        rng = np.random.default_rng(self.seed + 1)
        means, effects = self.truth()
        rows, cells = [], []
        for state, mean in means.items():
            for condition in self.conditions():
                tokens = [] if condition == "control" else condition.split("+")
                centre = mean + sum((effects[token] for token in tokens), np.zeros(self.n_genes))
                n = self.cells if tokens else self.controls
                noisy = centre + self.noise * rng.standard_normal((n, self.n_genes)) * (centre > 0)
                rows.append(np.maximum(noisy, 0))
                cells += [(condition, *state)] * n
        order = rng.permutation(len(cells))
        obs = pd.DataFrame([cells[i] for i in order], columns=["condition", "cell_type", "treatment"])
        obs.index = pd.Index([f"cell{number}" for number in range(len(obs))])
        keys = ObsKeys(covariates=("cell_type", "treatment"))
        info = CuratedInfo("tiny", keys, {}, token_table(obs["condition"], keys))
        X = sparse.csr_matrix(np.concatenate(rows)[order].astype(np.float32))
        return curated(X, obs.astype("category"), [f"gene{i}" for i in range(self.n_genes)], info)


def random_split(data: CuratedData, *, held_out: tuple[str, ...] = (), seed: int = 0) -> pd.Series:
    """Controls and conditions of all states in all splits by 3 : 1 : 1, ``held_out`` conditions in test alone."""
    rng = np.random.default_rng(seed)
    split = pd.Series("", index=data.obs.index, dtype=object)
    groups = data.obs.astype(str).groupby(["condition", "cell_type", "treatment"], observed=True).indices
    for (condition, *_), cells in sorted(groups.items()):
        names = np.array(["train", "val", "test", "train", "train"], dtype=object)[np.arange(len(cells)) % 5]
        split.iloc[rng.permutation(cells)] = "test" if condition in held_out else names
    return split


def write(data: CuratedData, path: Path) -> Path:
    """Write the file as the curation room does."""
    counts = sparse.csr_matrix(np.rint(np.expm1(data.X.toarray())).astype(np.float32))
    var = pd.DataFrame(index=pd.Index(data.genes))
    adata = ad.AnnData(data.X, obs=data.obs.copy(), var=var, layers={"counts": counts})
    adata.uns["perturbench"] = data.info.to_uns()
    adata.write_h5ad(path)
    return path
