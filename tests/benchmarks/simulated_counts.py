"""Raw counts of any number of cells, drawn by compiled code and written block by block: 19 GB take a minute or two."""

from __future__ import annotations

import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import anndata as ad
import h5py
import numpy as np
import pandas as pd
from numba import njit

GENES, DRAWS, STATES, PERTURBATIONS = 20_000, 2_400, 3, 99
"""2,400 molecules in the median cell over 20,000 genes of log-normal abundance: about 1,500 genes detected."""

BLOCK = 2_000
"""Cells drawn at once."""


def simulate(path: Path, cells: int, seed: int = 0) -> Path:
    """Write raw counts of three cell lines, 99 perturbations and 10 % controls, as uncompressed h5ad."""
    rng = np.random.default_rng(seed)
    guide = _guide(rng)
    with h5py.File(path, "w") as file, ThreadPoolExecutor(2) as pool:
        file.attrs.update({"encoding-type": "anndata", "encoding-version": "0.1.0"})
        group = file.create_group("X")
        group.attrs.update({"encoding-type": "csr_matrix", "encoding-version": "0.1.0", "shape": (cells, GENES)})
        made = {name: _dataset(group, name, dtype) for name, dtype in (("data", np.float32), ("indices", np.int32))}
        ends = [np.zeros(1, dtype=np.int64)]
        for first in range(0, cells, 8 * BLOCK):
            starts = range(first, min(first + 8 * BLOCK, cells), BLOCK)
            for block in pool.map(lambda start: _block(guide, min(BLOCK, cells - start), (seed, start)), starts):
                _append(made, block)
                ends.append(ends[-1][-1] + block[0])
        group["indptr"] = np.concatenate(ends)
        _tables(file, cells, rng)
    return path


def _guide(rng: np.random.Generator) -> np.ndarray:
    """A million genes in proportion to their abundance: drawing a molecule is looking one up."""
    abundance = np.cumsum(rng.lognormal(0, 2.0, GENES))
    return np.searchsorted(abundance / abundance[-1], rng.random(1 << 20)).astype(np.uint16)


def _dataset(group: h5py.Group, name: str, dtype: type) -> h5py.Dataset:
    return group.create_dataset(name, (0,), dtype, maxshape=(None,), chunks=(1 << 18,))


def _block(guide: np.ndarray, cells: int, seed: tuple[int, int]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    molecules = rng.lognormal(np.log(DRAWS), 0.4, cells).astype(np.int64)
    room = int(np.minimum(molecules, GENES).sum())
    ends, data, indices = np.empty(cells, np.int64), np.empty(room, np.float32), np.empty(room, np.int32)
    stop = _draw(guide, molecules, np.uint64(rng.integers(1, 1 << 62)), ends, data, indices)
    return ends, data[:stop], indices[:stop]


@njit(nogil=True, cache=True)
def _draw(guide, molecules, state, ends, data, indices):
    seen = np.zeros(GENES, dtype=np.int32)
    at = 0
    for cell in range(len(molecules)):
        low = at
        for _ in range(molecules[cell]):
            state ^= state << np.uint64(13)  # xorshift64 (Marsaglia 2003)
            state ^= state >> np.uint64(7)
            state ^= state << np.uint64(17)
            gene = guide[state >> np.uint64(44)]
            if seen[gene] == 0:
                indices[at] = gene
                at += 1
            seen[gene] += 1
        indices[low:at].sort()
        for entry in range(low, at):
            data[entry] = seen[indices[entry]]
            seen[indices[entry]] = 0
        ends[cell] = at
    return at


def _append(made: dict[str, h5py.Dataset], block: tuple[np.ndarray, np.ndarray, np.ndarray]) -> None:
    for name, values in (("data", block[1]), ("indices", block[2])):
        start = made[name].shape[0]
        made[name].resize((start + len(values),))
        made[name][start:] = values


def _tables(file: h5py.File, cells: int, rng: np.random.Generator) -> None:
    condition = np.where(rng.random(cells) < 0.1, 0, 1 + rng.integers(0, PERTURBATIONS, cells))
    names = np.array(["control", *(f"g{i:05d}" for i in range(PERTURBATIONS))])
    obs = pd.DataFrame({"condition": names[condition], "cell_type": [f"line{i % STATES}" for i in range(cells)]})
    obs = obs.astype("category").set_axis([f"cell{i}" for i in range(cells)])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ad.io.write_elem(file, "obs", obs)
        ad.io.write_elem(file, "var", pd.DataFrame(index=[f"g{i:05d}" for i in range(GENES)]))
        for name in ("layers", "obsm", "varm", "obsp", "varp", "uns"):
            ad.io.write_elem(file, name, {})
