"""Cells that cell-eval was run on, and how to run it on them again.

``python cell_eval_cells.py REAL.h5ad PRED.h5ad OUT_FOLDER RESULTS.csv`` writes what cell-eval, where it is installed,
says of two files.
"""

from __future__ import annotations

import sys

import numpy as np
import pandas as pd
from anndata import AnnData

GENES, CELLS = 60, 40
CONDITIONS = ("control", *(f"g{i:02d}" for i in range(0, 24, 3)))


def make_pair() -> tuple[AnnData, AnnData]:
    """True and predicted cells with the same controls; conditions are named by the gene that they perturb."""
    rng = np.random.default_rng(3)
    base = rng.gamma(2.0, 1.0, GENES) + 0.5
    effects = {c: np.exp(rng.normal(0, 0.5, GENES) * (rng.random(GENES) < 0.3)) for c in CONDITIONS[1:]}
    effects["g21"] = np.ones(GENES)  # no gene responds
    real = _cells(base, effects, np.random.default_rng(1), 0.0)
    predicted = _cells(base, effects, np.random.default_rng(2), 0.8)
    control = (real.obs["condition"] == "control").to_numpy()
    predicted.X[control] = real.X[control]
    return real, predicted


def _cells(base: np.ndarray, effects: dict[str, np.ndarray], rng: np.random.Generator, noise: float) -> AnnData:
    rows, labels = [], []
    for number, condition in enumerate(CONDITIONS):
        n = 3 * CELLS if condition == "control" else CELLS + number
        change = 1.0 if condition == "control" else effects[condition] * np.exp(rng.normal(0, noise, GENES))
        rows.append(np.log1p(rng.poisson(base * change, (n, GENES))))
        labels += [condition] * n
    obs = pd.DataFrame({"condition": pd.Categorical(labels)}, index=[f"c{i}" for i in range(len(labels))])
    var = pd.DataFrame(index=[f"g{i:02d}" for i in range(GENES)])
    return AnnData(np.concatenate(rows).astype(np.float32), obs=obs, var=var)


if __name__ == "__main__":
    from cell_eval import MetricsEvaluator

    real_path, predicted_path, folder, results = sys.argv[1:]
    evaluator = MetricsEvaluator(
        adata_pred=predicted_path, adata_real=real_path, control_pert="control", pert_col="condition",
        num_threads=1, outdir=folder,
    )  # fmt: skip
    found, _ = evaluator.compute(profile="full", write_csv=False, skip_metrics=["clustering_agreement"])
    found.write_csv(results)
