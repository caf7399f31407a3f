"""Control-matched batches: ours beside plain implementations of the same sampling.

Run ``python tests/benchmarks/bench_loading.py``; prints a table and JSON.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator

import numpy as np
import pandas as pd
import torch
from scipy import sparse

from perturbench_lamin.conditions import ObsKeys, token_table
from perturbench_lamin.contracts import CuratedInfo
from perturbench_lamin.loading.batches import BatchLoader, ControlMatched, Disentanglement
from perturbench_lamin.loading.curated import CuratedData, curated
from perturbench_lamin.loading.dataset import SplitData
from perturbench_lamin.loading.vocabulary import Vocabulary

CELLS, GENES, NONZEROS, PERTURBATIONS, STATES, BATCH = 100_000, 4_000, 457, 188, 3, 4_000


def simulated(cells: int = CELLS) -> CuratedData:
    """Cells of random expression: 10 % controls, 188 perturbations, 3 cell lines."""
    rng = np.random.default_rng(0)
    # Genes of a cell: one from each of NONZEROS blocks, so that they are distinct and sorted.
    edges = np.linspace(0, GENES, NONZEROS + 1).astype(np.int64)
    columns = (edges[:-1] + rng.random((cells, NONZEROS)) * np.diff(edges)).astype(np.int32)
    values = rng.random(cells * NONZEROS, dtype=np.float32)
    X = sparse.csr_matrix((values, columns.ravel(), np.arange(0, cells * NONZEROS + 1, NONZEROS)), (cells, GENES))
    names = np.array(["control", *(f"P{number}" for number in range(PERTURBATIONS))])
    condition = names[np.where(rng.random(cells) < 0.1, 0, rng.integers(1, len(names), cells))]
    obs = pd.DataFrame({"condition": condition, "cell_type": [f"L{i}" for i in rng.integers(0, STATES, cells)]})
    obs.index = obs.index.astype(str)
    keys = ObsKeys()
    info = CuratedInfo("simulated", keys, {}, token_table(obs["condition"], keys))
    return curated(X, obs.astype("category"), [f"g{i}" for i in range(GENES)], info)


def plain_vectorised(data: SplitData) -> Iterator[tuple]:
    """The same draws, scipy's row indexing and ``toarray`` for the rest."""
    rng = np.random.default_rng(0)
    order = rng.permutation(np.flatnonzero(~data.is_control))
    for start in range(0, len(order), BATCH):
        cells = order[start : start + BATCH]
        drawn = data.controls.draw(data.state[cells], rng)
        yield (
            torch.from_numpy(data.X[data.rows[cells]].toarray()),
            torch.from_numpy(data.X[drawn].toarray()),
            torch.from_numpy(data.perturbations[data.condition[cells]]),
            torch.from_numpy(data.covariates[data.state[cells]]),
        )


def plain_per_cell(data: SplitData) -> Iterator[tuple]:
    """One draw a cell in Python from a table of controls, as is common; else as above."""
    rng = np.random.default_rng(0)
    table = {place: data.controls.of(place) for place in range(len(data.states))}
    order = rng.permutation(np.flatnonzero(~data.is_control))
    for start in range(0, len(order), BATCH):
        cells = order[start : start + BATCH]
        drawn = [rng.choice(table[data.state[cell]]) for cell in cells]
        yield (
            torch.from_numpy(data.X[data.rows[cells]].toarray()),
            torch.from_numpy(data.X[drawn].toarray()),
            torch.from_numpy(data.perturbations[data.condition[cells]]),
            torch.from_numpy(data.covariates[data.state[cells]]),
        )


def seconds(batches: Callable[[], Iterator]) -> float:
    """How long one epoch takes."""
    start = time.perf_counter()
    for _batch in batches():
        pass
    return time.perf_counter() - start


def rows(cells: int = CELLS, repeats: int = 5) -> list[dict]:
    """The measurements: target cells a second, each with its control where there is one."""
    file = simulated(cells)
    vocabulary = Vocabulary.from_cells(file.obs, file.genes, file.info)
    data = SplitData.build(file, np.full(cells, "train", dtype=object), "train", vocabulary)
    targets = int((~data.is_control).sum())

    def ours(kind: type) -> Callable[[], Iterator]:
        return lambda: iter(BatchLoader(kind(data), batch_size=BATCH, seed=0, shuffle=True))

    next(iter(ours(ControlMatched)()))  # compile
    cases = [
        ("control-matched, ours", ours(ControlMatched), targets),
        ("control-matched, scipy indexing", lambda: plain_vectorised(data), targets),
        ("control-matched, scipy indexing, a Python draw a cell", lambda: plain_per_cell(data), targets),
        ("disentanglement, ours", ours(Disentanglement), cells),
    ]
    # Interleaved, best of several: the machine's speed drifts.
    best = {name: min(times) for name, times in _interleaved(cases, repeats).items()}
    return [{"work": name, "cells_per_second": round(n / best[name])} for name, _, n in cases]


def _interleaved(cases: list, repeats: int) -> dict[str, list[float]]:
    times: dict[str, list[float]] = {name: [] for name, _, _ in cases}
    for _ in range(repeats):
        for name, make, _ in cases:
            times[name].append(seconds(make))
    return times


if __name__ == "__main__":
    measured = rows()
    print(f"{CELLS:,} cells × {GENES:,} genes, {NONZEROS} non-zeros a cell, batches of {BATCH:,}\n")
    print("| work | cells/s |\n|---|---|")
    for row in measured:
        print(f"| {row['work']} | {row['cells_per_second']:,} |")
    print(json.dumps(measured))
