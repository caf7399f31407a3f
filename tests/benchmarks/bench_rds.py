"""Reading RDS files of Seurat and monocle3 objects: time, and peak memory beside the matrix that comes out.

Run ``python tests/benchmarks/bench_rds.py --values 100000000``: R's files of 10⁸ non-zeros, 1.2 GB a matrix.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy import sparse

from perturbench_lamin.ingestion.r_objects import RObject

GENES, PER_CELL = 20_000, 1_000
KINDS = ("seurat", "monocle")

Row = dict[str, Any]


def measure(values: int = 100_000_000, folder: str | Path | None = None) -> list[Row]:
    """Write one file of each kind and read it in a process of its own.

    Args:
        values: non-zeros of the count matrix.
        folder: where the files go, 5 GB at 10⁸ values; a temporary folder by default.

    Returns:
        Rows ``what, seconds, matrix_mib, peak_mib, times_matrix``; the peak is that of the whole process, with
        the interpreter and its libraries.
    """
    rows = []
    with tempfile.TemporaryDirectory(dir=folder) as temporary:
        for kind in KINDS:
            path = Path(temporary) / f"{kind}.rds"
            _child("write", kind, path, values)
            read = _child("read", kind, path, values)
            path.unlink()
            times = round(read["peak_mib"] / read["matrix_mib"], 2)
            rows.append({"what": f"read {kind} RDS, {values:,} non-zeros", **read, "times_matrix": times})
    return rows


def write(kind: str, path: Path, values: int) -> Row:
    """Write a simulated object, uncompressed, as ``saveRDS(compress = FALSE)`` does."""
    from perturbench_lamin.simulation.rds_writer import RWriter, _write_header

    cells = values // PER_CELL
    obj = _seurat(cells) if kind == "seurat" else _monocle(cells)
    with path.open("wb") as stream:
        _write_header(stream)
        RWriter(stream).write(obj)
    return {}


def read(kind: str, path: Path, _values: int) -> Row:
    """Read it, and say what that took."""
    from perturbench_lamin.ingestion.monocle import read_cell_data_sets
    from perturbench_lamin.ingestion.seurat import read_seurat

    start = time.perf_counter()
    found = read_seurat(path) if kind == "seurat" else read_cell_data_sets(path)[0]
    seconds = time.perf_counter() - start
    counts = found.counts
    size = (counts.data.nbytes + counts.indices.nbytes + counts.indptr.nbytes) / 2**20
    return {"seconds": round(seconds, 2), "matrix_mib": round(size), "peak_mib": round(_peak_mib())}


def _counts(cells: int) -> sparse.csr_matrix:
    rng = np.random.default_rng(0)
    step = GENES // PER_CELL  # one gene of every 20: sorted without sorting
    indices = np.arange(0, GENES, step, dtype=np.int32) + rng.integers(0, step, (cells, PER_CELL), dtype=np.int32)
    data = rng.integers(1, 9, cells * PER_CELL, dtype=np.int8)
    indptr = np.arange(cells + 1, dtype=np.int32) * PER_CELL
    return sparse.csr_matrix((data, indices.ravel(), indptr), shape=(cells, GENES))


def _tables(cells: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    names = [f"cell{i}" for i in range(cells)]
    condition = pd.Categorical.from_codes(np.arange(cells) % 100, [f"condition{i}" for i in range(100)])
    genes = [f"g{i:05d}" for i in range(GENES)]
    return pd.DataFrame({"condition": condition}, index=names), pd.DataFrame({"symbol": genes}, index=genes)


def _seurat(cells: int) -> RObject:
    from perturbench_lamin.simulation.seurat_values import seurat

    obs, var = _tables(cells)
    return seurat(_counts(cells), obs, list(var.index))


def _monocle(cells: int) -> RObject:
    from perturbench_lamin.simulation.mcfaline24 import Screen, cell_data_set

    return cell_data_set(Screen(_counts(cells), *_tables(cells)))


def _peak_mib() -> float:
    status = Path("/proc/self/status").read_text()
    return int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM"))) / 1024


def _child(verb: str, kind: str, path: Path, values: int) -> Row:
    root = str(Path(__file__).parents[2])
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([root, os.environ.get("PYTHONPATH", "")])}
    command = [sys.executable, __file__, "--child", verb, kind, str(path), str(values)]
    done = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--values", type=int, default=100_000_000, help="non-zeros of the count matrix")
    parser.add_argument("--folder", help="where there is room for the files")
    parser.add_argument("--child", nargs=4, metavar=("VERB", "KIND", "PATH", "VALUES"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        verb, kind, path, values = arguments.child
        print(json.dumps({"write": write, "read": read}[verb](kind, Path(path), int(values))))
        return
    print(json.dumps(measure(arguments.values, arguments.folder), indent=1))


if __name__ == "__main__":
    main()
