"""How long an evaluation takes, beside a plain implementation with a loop over groups and over pairs, in the same run.

    python tests/benchmarks/bench_evaluation.py [--scale 0.1] [--pca] [--energy] [--full]

The plain implementation works on a slice (one group in twelve; one condition in four of one covariate state) and
its time is scaled to the whole by the number of groups and of pairs.
"""

from __future__ import annotations

import argparse
import json
import threading
import time
import warnings
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import psutil
from anndata import AnnData
from scipy import sparse
from scipy.spatial.distance import cdist

from perturbench_lamin.conditions import ObsKeys
from perturbench_lamin.evaluation.energy import energy_pairs
from perturbench_lamin.evaluation.evaluate import evaluate
from perturbench_lamin.evaluation.profiles import PROFILES, Profile
from perturbench_lamin.evaluation.ranks import rank_conditions

GENES, NONZEROS, CONDITIONS, STATES = 4_000, 457, 188, 3
TRUE_CELLS, PREDICTED_CELLS = 100_000, 62_000
GROUP_SLICE, CONDITION_SLICE = 12, 4
KEYS = ObsKeys()


def make_cells(n: int, seed: int, control_share: float) -> AnnData:
    """Random log1p-like cells: ~457 stored values each, labels at random."""
    rng = np.random.default_rng(seed)
    columns = np.cumsum(rng.integers(1, 2 * GENES // NONZEROS, size=(n, NONZEROS), dtype=np.int32), axis=1) - 1
    kept = columns < GENES
    data = np.log1p(rng.integers(1, 9, size=int(kept.sum()))).astype(np.float32)
    indptr = np.concatenate([[0], np.cumsum(kept.sum(axis=1))])
    X = sparse.csr_matrix((data, columns[kept], indptr), shape=(n, GENES))
    names = np.array(["control", *(f"g{i:03d}" for i in range(CONDITIONS))])
    labels = np.arange(n) % CONDITIONS + 1
    labels[rng.random(n) < control_share] = 0
    states = np.array([f"ct{i}" for i in range(STATES)])[np.arange(n) // CONDITIONS % STATES]
    obs = pd.DataFrame({"condition": pd.Categorical(names[labels]), "cell_type": pd.Categorical(states)})
    obs.index = [f"c{i}" for i in range(n)]
    return AnnData(X, obs=obs, var=pd.DataFrame(index=[f"gene{i:05d}" for i in range(GENES)]))


def plain_means(cells: AnnData, every: int) -> dict[tuple[str, str], np.ndarray]:
    """Means by masking the matrix once per group."""
    groups = cells.obs.drop_duplicates().itertuples(index=False)
    chosen = sorted((str(row.cell_type), str(row.condition)) for row in groups)[::every]
    means = {}
    for state, condition in chosen:
        mask = ((cells.obs["cell_type"] == state) & (cells.obs["condition"] == condition)).to_numpy()
        means[state, condition] = np.asarray(cells.X[mask].mean(axis=0)).ravel()
    return means


def plain_pairs(truth: np.ndarray, prediction: np.ndarray, control: np.ndarray) -> None:
    """RMSE of means and cosine of log fold changes, a pair at a time."""
    p = len(truth)
    rmse, cosine = np.empty((p, p)), np.empty((p, p))
    change = [np.log2(rows + 0.1) - np.log2(control + 0.1) for rows in (truth, prediction)]
    for i in range(p):
        for j in range(p):
            rmse[i, j] = np.sqrt(np.mean((prediction[i] - truth[j]) ** 2))
            x, y = change[1][i], change[0][j]
            cosine[i, j] = x @ y / (np.linalg.norm(x) * np.linalg.norm(y))


def timed(work: Callable[[], Any]) -> float:
    """Seconds that ``work`` takes."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def measure(scale: float = 1.0, *, pca: bool = False, full: bool = False, energy: bool = False) -> list[dict[str, Any]]:
    """Time ours and the plain implementation; one row per piece of work."""
    truth = make_cells(int(TRUE_CELLS * scale), 0, 0.1)
    prediction = make_cells(int(PREDICTED_CELLS * scale), 1, 0.0)
    evaluate(truth[:3000], {"warm": prediction[:3000]}, KEYS)  # compiles the kernels
    size = f"{truth.n_obs:,} + {prediction.n_obs:,} cells × {GENES:,} genes, {CONDITIONS} × {STATES}"
    ours = min(timed(lambda: evaluate(truth, {"model": prediction}, KEYS)) for _ in range(3))
    rows = [{"work": "means, RMSE, cosine, ranks: ours", "size": size, "seconds": ours}]
    aggregate = GROUP_SLICE * sum(timed(lambda c=cells: plain_means(c, GROUP_SLICE)) for cells in (truth, prediction))
    rng = np.random.default_rng(2)
    means = rng.random((3, CONDITIONS // CONDITION_SLICE, GENES))
    pairs = timed(lambda: plain_pairs(means[0], means[1], means[2, 0]))
    pairs *= STATES * CONDITIONS**2 / means.shape[1] ** 2
    rows.append({"work": "means: plain loop, scaled", "size": size, "seconds": aggregate})
    rows.append({"work": "pairs: plain loop, scaled", "size": size, "seconds": pairs})
    if energy:
        rows += measure_energy(scale)
    if pca:
        rows += measure_pca(truth, prediction, size)
    if full:
        rows += measure_full(truth, prediction, size)
    return rows


def measure_full(truth: AnnData, prediction: AnnData, size: str) -> list[dict[str, Any]]:
    """Time differential expression and the whole profile ``full``, with the peak of memory, the cells included.

    The two matrices are given as CSR; a share is of what they take as dense float32, as predictions are mostly written.
    """
    tests = Profile("tests", ("overlap_at_N", "pr_auc", "de_spearman_lfc_sig"))
    scores = replace(PROFILES["full"], metrics=("pearson_scores", "r2_scores", "top_k_recall_scores"))
    sparse_gb = sum(cells.X.data.nbytes + cells.X.indices.nbytes for cells in (truth, prediction)) / 1e9
    dense_gb = 4 * GENES * (truth.n_obs + prediction.n_obs) / 1e9
    rows = []
    for name, profile in (("t scores and recall", scores), ("rank-sum tests", tests), ("profile full", "full")):
        with PeakMemory() as memory:
            seconds = timed(lambda p=profile: evaluate(truth, {"model": prediction}, KEYS, p))
        peak = memory.gigabytes + sparse_gb
        share = f"peak {peak:.2f} GB: {peak / dense_gb:.2f} × dense, {peak / sparse_gb:.1f} × CSR"
        rows.append({"work": f"{name}: ours ({share})", "size": size, "seconds": seconds})
    seconds = STATES * sum(timed(lambda c=cells: plain_scores(c)) for cells in (truth, prediction))
    rows.insert(1, {"work": "t scores and recall: scanpy, a state in three, scaled", "size": size, "seconds": seconds})
    return rows


def plain_scores(cells: AnnData) -> None:
    """t scores of one covariate state by scanpy; the caller's cells are of three."""
    import scanpy as sc

    state = cells[cells.obs["cell_type"] == "ct0"].copy()
    state.uns["log1p"] = {"base": None}
    if (state.obs["condition"] != "control").all():  # a prediction has none: any group will do as the reference
        state.obs["condition"] = state.obs["condition"].cat.remove_unused_categories()
    reference = "control" if (state.obs["condition"] == "control").any() else state.obs["condition"].cat.categories[0]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        sc.tl.rank_genes_groups(state, "condition", method="t-test_overestim_var", reference=reference)


def measure_energy(scale: float = 1.0) -> list[dict[str, Any]]:
    """Time the energy statistic and its rank of 525 conditions in 3 states, in 100 components, beside plain numpy.

    The plain implementation does one pair of conditions after the other, of some; its time is scaled to all pairs.
    """
    rng = np.random.default_rng(3)
    conditions, cells = 525, max(2, int(PREDICTED_CELLS * scale / 525 / STATES))
    truth, prediction = (
        [[rng.normal(shift, 1.0, (cells, 100)) for _ in range(conditions)] for _ in range(STATES)]
        for shift in (0.0, 0.1)
    )
    energy_pairs(truth[0][:3], prediction[0][:3])  # compiles the kernels
    size = f"{conditions}² × {STATES}, {cells} + {cells} cells a condition × 100 components"
    ours = timed(lambda: [energy_rank(*pair) for pair in zip(truth, prediction, strict=True)])
    few = 12
    plain = timed(lambda: [plain_energy(p, t) for p in prediction[0][:few] for t in truth[0][:few]])
    plain *= STATES * conditions**2 / few**2
    return [
        {"work": "energy statistic, rank: ours", "size": size, "seconds": ours},
        {"work": f"energy statistic, rank: plain numpy, {few}², scaled", "size": size, "seconds": plain},
    ]


def energy_rank(truth: list[np.ndarray], prediction: list[np.ndarray]) -> np.ndarray:
    """The rank of each condition by the energy statistic."""
    return rank_conditions(energy_pairs(truth, prediction), higher_is_better=False, ties="mid")


def plain_energy(x: np.ndarray, y: np.ndarray) -> float:
    """The energy statistic of two groups of cells."""
    return float(cdist(x, y).mean() - 0.5 * cdist(x, x).mean() - 0.5 * cdist(y, y).mean())


class PeakMemory:
    """The highest resident memory within a block, above that at its start, in GB."""

    gigabytes = 0.0

    def __enter__(self) -> PeakMemory:
        self._process, self._running = psutil.Process(), True
        self._start = self._process.memory_info().rss
        self._watch = threading.Thread(target=self._look, daemon=True)
        self._watch.start()
        return self

    def _look(self) -> None:
        while self._running:
            above = self._process.memory_info().rss - self._start
            self.gigabytes = max(self.gigabytes, above / 1e9)
            time.sleep(0.02)

    def __exit__(self, *error: object) -> None:
        self._running = False
        self._watch.join()


def measure_pca(truth: AnnData, prediction: AnnData, size: str) -> list[dict[str, Any]]:
    """Time the metrics in the PCA space: principal components alone, then the energy statistic and its rank."""
    code = PROFILES["perturbench-code"]
    rows = []
    for name, metrics in (
        ("PCA (100), cosine", ("cosine_pca_average",)),
        ("PCA (100), energy statistic", ("mmd_pca",)),
        ("PCA (100), energy statistic, rank", ("mmd_pca", "mmd_pca_rank")),
    ):
        profile = replace(code, metrics=metrics)
        seconds = timed(lambda p=profile: evaluate(truth, {"model": prediction}, KEYS, p))
        rows.append({"work": f"{name}: ours", "size": size, "seconds": seconds})
    return rows


def markdown(rows: list[dict[str, Any]]) -> str:
    """The rows as a Markdown table."""
    lines = [f"| {row['work']} | {row['size']} | {row['seconds']:.2f} |" for row in rows]
    return "\n".join(["| work | size | seconds |", "|---|---|---|", *lines])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scale", type=float, default=1.0, help="share of the cells")
    parser.add_argument("--pca", action="store_true", help="also the metrics in the PCA space")
    parser.add_argument("--energy", action="store_true", help="also the rank by the energy statistic, 525² × 3")
    parser.add_argument("--full", action="store_true", help="also differential expression and the profile full")
    arguments = parser.parse_args()
    result = measure(arguments.scale, pca=arguments.pca, full=arguments.full, energy=arguments.energy)
    print(markdown(result))
    print(json.dumps(result))
