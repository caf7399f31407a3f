"""Two curated files of the same cells compared: time and peak memory, beside reading both with anndata.

Run ``python tests/benchmarks/bench_comparison.py``; ``--large`` compares a million cells (15 GB of disk, and 6 GB for
the cells in another order).
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

import anndata as ad
import h5py
import numpy as np
import pandas as pd

CELLS, GENES, VALUES, BLOCK = 50_000, 4_000, 457, 5_000
LARGE = 1_000_000
WORK = {
    "ours, same order": ("ours", "same.h5ad"),
    "ours, cells and genes in another order": ("ours", "moved.h5ad"),
    "anndata, cells and genes in another order": ("plain", "moved.h5ad"),
}

Row = dict[str, Any]


def measure(
    cells: int = CELLS, values: int = VALUES, folder: str | Path | None = None, *, plain: bool = True
) -> list[Row]:
    """Write the files and compare them, each time in a process of its own.

    Args:
        cells: of each file.
        values: stored values a cell, in each of X and the counts.
        folder: where the files go; a temporary folder by default.
        plain: also read both with anndata, reorder, and compare: all in memory.

    Returns:
        Rows ``what, seconds, peak_mib``; the peak is that of the whole process, with the interpreter and libraries.
    """
    rows = []
    with tempfile.TemporaryDirectory(dir=folder) as temporary:
        for name, moved in (("a.h5ad", False), ("same.h5ad", False), ("moved.h5ad", True)):
            write(Path(temporary) / name, cells, values, moved=moved)
        for what, (verb, other) in WORK.items():
            if verb == "ours" or plain:
                took = _child(verb, Path(temporary) / "a.h5ad", Path(temporary) / other)
                rows.append({"what": f"{what}, {cells:,} cells × {values} values", **took})
    return rows


def write(path: Path, cells: int, values: int, *, moved: bool) -> None:
    """Write log1p expression and counts block by block; ``moved`` brings cells and genes into another order."""
    blocks = np.arange(0, cells, BLOCK)
    if moved:
        np.random.default_rng(1).shuffle(blocks)
    names: list[np.ndarray] = []
    with h5py.File(path, "w") as file:
        file.attrs.update({"encoding-type": "anndata", "encoding-version": "0.1.0"})
        matrices = [
            _matrix(file, place, cells, values, dtype) for place, dtype in (("X", "f4"), ("layers/counts", "i4"))
        ]
        for start in blocks:
            order = np.arange(min(BLOCK, cells - start))
            made = _block(int(start), len(order), values)
            if moved:
                np.random.default_rng(start).shuffle(order)
                made = (GENES - 1 - made[0][:, ::-1], *(part[:, ::-1] for part in made[1:]))
            at = sum(len(part) for part in names) * values
            for matrix, data in zip(matrices, made[1:], strict=True):
                matrix["indices"][at : at + made[0].size] = made[0][order].ravel()
                matrix["data"][at : at + made[0].size] = data[order].ravel()
            names.append(start + order)
        _tables(file, np.concatenate(names), moved)


def _matrix(file: h5py.File, place: str, cells: int, values: int, dtype: str) -> h5py.Group:
    group = file.create_group(place)
    group.attrs.update({"encoding-type": "csr_matrix", "encoding-version": "0.1.0", "shape": (cells, GENES)})
    group["indptr"] = np.arange(cells + 1, dtype=np.int64) * values
    for name, kind in (("indices", "i4"), ("data", dtype)):
        group.create_dataset(name, (cells * values,), kind)
    return group


def _block(start: int, cells: int, values: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Gene numbers, log1p expression and counts of some cells: one gene of each of ``values`` ranges."""
    rng = np.random.default_rng(start)
    edges = np.linspace(0, GENES, values + 1).astype(np.int64)
    genes = (edges[:-1] + rng.random((cells, values)) * np.diff(edges)).astype(np.int32)
    counts = rng.geometric(0.4, (cells, values)).astype(np.int32)
    return genes, np.log1p(counts / counts.sum(axis=1, keepdims=True) * 1e4).astype(np.float32), counts


def _tables(file: h5py.File, cells: np.ndarray, moved: bool) -> None:
    obs = pd.DataFrame(
        {
            "condition": pd.Categorical.from_codes(cells % 200, [f"condition{k}" for k in range(200)]),
            "ncounts": cells * 7 % 10_007,
            "percent_mito": cells % 997 / 997,
        },
        index=pd.Index([f"{cell:012d}-1" for cell in cells]),
    )
    genes = [f"g{gene:05d}" for gene in range(GENES)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ad.io.write_elem(file, "obs", obs)
        ad.io.write_elem(file, "var", pd.DataFrame(index=genes[::-1] if moved else genes))
        file["layers"].attrs.update({"encoding-type": "dict", "encoding-version": "0.1.0"})


def ours(a: Path, b: Path) -> None:
    """Compare through the package."""
    from perturbench_lamin.comparison.compare import compare_files

    found = compare_files(a, b)
    assert not found.differences, found.differences


def plain(a: Path, b: Path) -> None:
    """Read both, reorder the second, and compare X, the counts and obs."""
    first, second = ad.read_h5ad(a), ad.read_h5ad(b)
    second = second[first.obs_names, first.var_names].copy()
    assert (first.X != second.X).nnz == 0
    assert (first.layers["counts"] != second.layers["counts"]).nnz == 0
    pd.testing.assert_frame_equal(first.obs, second.obs)


def _child(verb: str, a: Path, b: Path) -> Row:
    root = str(Path(__file__).parents[2])
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([root, os.environ.get("PYTHONPATH", "")])}
    command = [sys.executable, __file__, "--child", verb, str(a), str(b)]
    done = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE, text=True)
    row: Row = json.loads(done.stdout.splitlines()[-1])
    return row


def _timed(verb: str, a: Path, b: Path) -> Row:
    start = time.perf_counter()
    {"ours": ours, "plain": plain}[verb](a, b)
    status = Path("/proc/self/status").read_text()
    peak = int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM"))) / 1024
    return {"seconds": round(time.perf_counter() - start, 1), "peak_mib": round(peak)}


def main() -> None:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cells", type=int, default=CELLS)
    parser.add_argument("--values", type=int, default=VALUES, help="stored values a cell")
    parser.add_argument("--large", action="store_true", help="a million cells, without the comparison in memory")
    parser.add_argument("--folder", help="where there is room for the files")
    parser.add_argument("--child", nargs=3, metavar=("VERB", "A", "B"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        verb, a, b = arguments.child
        print(json.dumps(_timed(verb, Path(a), Path(b))))
        return
    cells = LARGE if arguments.large else arguments.cells
    rows = measure(cells, arguments.values, arguments.folder, plain=cells <= 4 * CELLS)
    print(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
