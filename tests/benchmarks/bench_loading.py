"""Control-matched batches: ours beside plain implementations of the same sampling.

Run ``python tests/benchmarks/bench_loading.py``; prints a table and JSON.
"""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import anndata as ad
import numba
import numpy as np
import pandas as pd
import torch
from scipy import sparse

from perturbench_lamin.conditions import ObsKeys, token_table
from perturbench_lamin.contracts import CuratedInfo
from perturbench_lamin.loading.batches import BatchLoader, ControlMatched, Disentanglement
from perturbench_lamin.loading.curated import CuratedData, curated
from perturbench_lamin.loading.dataset import SplitData
from perturbench_lamin.loading.device_rows import DeviceRows
from perturbench_lamin.loading.gather import cores
from perturbench_lamin.loading.grouped import Grouped
from perturbench_lamin.loading.packed_kernels import BLOCK, write_past_caches
from perturbench_lamin.loading.packed_rows import PackedRows
from perturbench_lamin.loading.row_store import RowStore, unpack
from perturbench_lamin.loading.vocabulary import Vocabulary

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
CELLS, GENES, NONZEROS, PERTURBATIONS, STATES, BATCH = 100_000, 4_000, 457, 188, 3, 4_000


def simulated(
    cells: int = CELLS, genes: int = GENES, *, nonzeros: int = NONZEROS, perturbations: int = PERTURBATIONS
) -> CuratedData:
    """Cells of random expression: 10 % controls, 188 perturbations, 3 cell lines."""
    rng = np.random.default_rng(0)
    # Genes of a cell: one from each of as many blocks, so that they are distinct and sorted.
    edges = np.linspace(0, genes, nonzeros + 1).astype(np.int64)
    columns = (edges[:-1] + rng.random((cells, nonzeros)) * np.diff(edges)).astype(np.int32)
    values = rng.random(cells * nonzeros, dtype=np.float32)
    X = sparse.csr_matrix((values, columns.ravel(), np.arange(0, cells * nonzeros + 1, nonzeros)), (cells, genes))
    names = np.array(["control", *(f"P{number}" for number in range(perturbations))])
    condition = names[np.where(rng.random(cells) < 0.1, 0, rng.integers(1, len(names), cells))]
    obs = pd.DataFrame({"condition": condition, "cell_type": [f"L{i}" for i in rng.integers(0, STATES, cells)]})
    obs.index = obs.index.astype(str)
    keys = ObsKeys()
    info = CuratedInfo("simulated", keys, {}, token_table(obs["condition"], keys))
    return curated(X, obs.astype("category"), [f"g{i}" for i in range(genes)], info)


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

    def ours(kind: type, X: object = None, prefetch: int = 0) -> Callable[[], Iterator]:
        held = kind(data if X is None else replace(data, X=X))
        return lambda: iter(BatchLoader(held, batch_size=BATCH, seed=0, shuffle=True, prefetch=prefetch))

    next(iter(ours(ControlMatched)()))  # compile
    stored, packed = _stored(file), PackedRows.of(data.X)
    next(iter(ours(ControlMatched, packed)()))  # compile
    cases = [
        ("control-matched, ours", ours(ControlMatched, packed), targets),
        ("control-matched, ours, 2 made ahead", ours(ControlMatched, packed, 2), targets),
        ("control-matched, ours, from CSR", ours(ControlMatched), targets),
        (
            "control-matched, ours, CSR tensors on the device",
            ours(ControlMatched, DeviceRows.of(data.X, DEVICE)),
            targets,
        ),
        ("control-matched, ours, streamed from disk", ours(ControlMatched, stored), targets),
        ("control-matched, ours, streamed from disk, 2 made ahead", ours(ControlMatched, stored, 2), targets),
        ("control-matched, scipy indexing", lambda: plain_vectorised(data), targets),
        ("control-matched, scipy indexing, a Python draw a cell", lambda: plain_per_cell(data), targets),
        ("disentanglement, ours", ours(Disentanglement, packed), cells),
        ("grouped (no dense cells), ours", ours(Grouped, packed), targets),
        ("grouped (no dense cells), ours, from CSR", ours(Grouped), targets),
    ]
    # Interleaved, best of several: the machine's speed drifts.
    best = {name: min(times) for name, times in _interleaved(cases, repeats).items()}
    speeds = [{"work": name, "cells_per_second": round(n / best[name])} for name, _, n in cases]
    return [*speeds, *bandwidth(speeds[0]["cells_per_second"], repeats)]


def bandwidth(cells_per_second: int, repeats: int) -> list[dict]:
    """Bytes that batches write a second, beside what this machine can.

    Ones, not zeros: some machines store zeros faster than their memory's bandwidth allows for anything else.
    """
    rng, dense = np.random.default_rng(0), np.ones((2 * BATCH, GENES), np.float32)
    ways = {
        "writing ones past the caches": stream_ones,
        "filling with ones": lambda block: block.fill(1),
        "copying dense rows at random": lambda block: np.take(
            dense, rng.integers(0, 2 * BATCH, len(block)), 0, block, mode="clip"
        ),
    }
    speeds = {name: 4e-9 * 2 * BATCH * GENES / best_seconds(work, repeats) for name, work in ways.items()}
    written = 4e-9 * cells_per_second * 2 * GENES
    shares = {f"of {name}": round(written / speed, 3) for name, speed in speeds.items()}
    return [
        {"work": "bytes written, ours, of batches' cells and controls", "gigabytes_per_second": written, **shares},
        *({"work": f"{name}, all cores", "gigabytes_per_second": speed} for name, speed in speeds.items()),
    ]


@numba.njit(nogil=True)
def stream_ones(block: np.ndarray) -> None:
    """Write ones past the caches, whole cache lines: what the memory takes at most."""
    out, line = block.reshape(-1), np.ones(1024, np.float32)
    at = (-(out.ctypes.data // 4)) % BLOCK
    while at + 1024 <= out.shape[0]:
        write_past_caches(out, at, line, 0, 1024 // BLOCK)
        at += 1024


def best_seconds(work: Callable[[np.ndarray], object], repeats: int) -> float:
    """The shortest time to write a batch's cells and controls, by as many threads as there are cores."""
    blocks = np.array_split(np.ones((2 * BATCH, GENES), np.float32), cores())
    times = []
    with ThreadPoolExecutor(cores()) as pool:
        for _ in range(4 * repeats):
            start = time.perf_counter()
            list(pool.map(work, blocks))
            times.append(time.perf_counter() - start)
    return min(times)


def _stored(file: CuratedData) -> RowStore:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "m.h5ad"
        ad.AnnData(file.X, obs=file.obs[[]]).write_h5ad(path)
        return unpack(path)


def _interleaved(cases: list, repeats: int) -> dict[str, list[float]]:
    times: dict[str, list[float]] = {name: [] for name, _, _ in cases}
    for _ in range(repeats):
        for name, make, _ in cases:
            times[name].append(seconds(make))
    return times


if __name__ == "__main__":
    measured = rows()
    print(f"{CELLS:,} cells × {GENES:,} genes, {NONZEROS} non-zeros a cell, batches of {BATCH:,}\n")
    for row in measured:
        print(row)
    print(json.dumps(measured))
