"""Preprocessing beside the same steps in scanpy: time and peak memory, each in a process of its own.

Run ``python tests/benchmarks/bench_preprocess.py --cells 10000 --cells 50000``.
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

GENES, DRAWS, STATES, PERTURBATIONS = 20_000, 2_400, 3, 99
"""2,400 molecules in the median cell over 20,000 genes of log-normal abundance: about 1,500 genes detected."""


def measure(cells: tuple[int, ...] = (10_000, 50_000), folder: str | Path | None = None) -> list[dict[str, object]]:
    """Measure ours and the plain steps side by side.

    Args:
        cells: the sizes to measure.
        folder: where the simulated input and the outputs go; a temporary folder by default.

    Returns:
        Rows ``what, ours_seconds, plain_seconds, ours_peak_mib, plain_peak_mib, speedup`` and the plain stages.
        Seconds are from opening the h5ad file to the written result, without imports.
    """
    with tempfile.TemporaryDirectory() as temporary:
        place = Path(folder or temporary)
        warm = simulate(place / "warm.h5ad", 3_000)
        for which in ("ours", "plain"):  # both compile their kernels once and keep them
            _child(which, warm, place / "warm_out.h5ad")
        return [_row(n, place) for n in cells]


def _row(cells: int, place: Path) -> dict[str, object]:
    path = place / f"raw_{cells}.h5ad"
    if not path.exists():
        simulate(path, cells)
    path.read_bytes()  # both start from a warm page cache
    ours = _child("ours", path, place / "ours.h5ad")
    plain = _child("plain", path, place / "plain.h5ad")
    return {
        "what": f"preprocess {cells:,} x {GENES:,}",
        "ours_seconds": ours["seconds"],
        "plain_seconds": plain["seconds"],
        "ours_peak_mib": ours["peak_mib"],
        "plain_peak_mib": plain["peak_mib"],
        "speedup": round(plain["seconds"] / ours["seconds"], 2),
        "same_genes": ours["genes"] == plain["genes"],
        "plain_stages": plain["stages"],
    }


def simulate(path: Path, cells: int, seed: int = 0) -> Path:
    """Write raw counts of three cell lines, 99 perturbations and 10 % controls, as uncompressed h5ad."""
    import anndata as ad
    import numpy as np
    import pandas as pd
    from scipy import sparse

    rng = np.random.default_rng(seed)
    abundance = np.cumsum(rng.lognormal(0, 2.0, GENES))
    abundance /= abundance[-1]
    blocks = []
    for start in range(0, cells, 2_000):
        n = min(2_000, cells - start)
        molecules = rng.lognormal(np.log(DRAWS), 0.4, n).astype(int)
        genes = np.searchsorted(abundance, rng.random(molecules.sum())).astype(np.int32)
        rows = np.repeat(np.arange(n, dtype=np.int32), molecules)
        block = sparse.csr_matrix((np.ones(len(genes), dtype=np.float32), (rows, genes)), shape=(n, GENES))
        blocks.append(block)
    condition = np.where(rng.random(cells) < 0.1, 0, 1 + rng.integers(0, PERTURBATIONS, cells))
    names = np.array(["control", *(f"g{i:05d}" for i in range(PERTURBATIONS))])
    obs = pd.DataFrame({"condition": names[condition], "cell_type": [f"line{i % STATES}" for i in range(cells)]})
    obs.index = [f"cell{i}" for i in range(cells)]
    var = pd.DataFrame(index=[f"g{i:05d}" for i in range(GENES)])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ad.AnnData(sparse.vstack(blocks, format="csr"), obs, var).write_h5ad(path)
    return path


def run_ours(path: Path, out: Path) -> dict[str, object]:
    """Our preprocessing of one file."""
    import anndata as ad

    from perturbench_lamin.conditions import ObsKeys
    from perturbench_lamin.curation.preprocess import preprocess_file

    start = time.perf_counter()
    preprocess_file(path, out, ObsKeys("condition", ("cell_type",)))
    seconds = time.perf_counter() - start
    peak = _peak_mib()
    return _result(seconds, peak, sorted(ad.io.read_elem(_open(out)["var"]).index), {})


def run_plain(path: Path, out: Path) -> dict[str, object]:
    """The same steps, each a call of scanpy; the result is written with the same compression."""
    import anndata as ad
    import scanpy as sc

    warnings.simplefilter("ignore")
    stages: dict[str, float] = {}
    start = last = time.perf_counter()

    def done(stage: str) -> None:
        nonlocal last
        stages[stage] = round(time.perf_counter() - last, 2)
        last = time.perf_counter()

    data = ad.read_h5ad(path)
    done("read")
    sc.pp.filter_genes(data, min_cells=10)
    sc.pp.calculate_qc_metrics(data, inplace=True)
    data.layers["counts"] = data.X.copy()
    sc.pp.normalize_total(data)
    sc.pp.log1p(data)
    done("normalise")
    sc.pp.highly_variable_genes(data, flavor="seurat_v3", layer="counts", batch_key="cell_type", n_top_genes=4000)
    done("variable")
    keep = set(data.var_names[data.var.highly_variable]) | (set(data.obs.condition) & set(data.var_names))
    for state in data.obs.cell_type.unique():
        part = data[data.obs.cell_type == state].copy()
        sc.tl.rank_genes_groups(part, "condition", reference="control", method="t-test", n_genes=25, rankby_abs=True)
        keep |= {name for row in part.uns["rank_genes_groups"]["names"] for name in row}
    done("differential")
    data = data[:, sorted(keep)].copy()
    data.write_h5ad(out, compression="lzf")
    done("write")
    return _result(time.perf_counter() - start, _peak_mib(), sorted(keep), stages)


def _result(seconds: float, peak: float, genes: list[str], stages: dict[str, float]) -> dict[str, object]:
    return {"seconds": round(seconds, 2), "peak_mib": round(peak), "genes": genes, "stages": stages}


def _open(path: Path):
    import h5py

    return h5py.File(path, "r")


def _peak_mib() -> float:
    """The process's own peak: getrusage would start from that of the parent that spawned it."""
    status = Path("/proc/self/status").read_text()
    return int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM"))) / 1024


def _child(which: str, path: Path, out: Path) -> dict:
    command = [sys.executable, __file__, "--child", which, str(path), str(out)]
    root = str(Path(__file__).parents[2])
    found = os.environ.get("PYTHONPATH")
    environment = os.environ | {"PYTHONPATH": f"{root}{os.pathsep}{found}" if found else root}
    done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def _markdown(rows: list[dict[str, object]]) -> str:
    columns = ["what", "ours_seconds", "plain_seconds", "speedup", "ours_peak_mib", "plain_peak_mib", "same_genes"]
    lines = ["| " + " | ".join(columns) + " |", "|" + "---|" * len(columns)]
    return "\n".join([*lines, *("| " + " | ".join(str(row[c]) for c in columns) + " |" for row in rows)])


def main() -> None:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cells", type=int, action="append", help="a size to measure; may be repeated")
    parser.add_argument("--folder", help="keep input and outputs here")
    parser.add_argument("--child", nargs=3, metavar=("WHICH", "IN", "OUT"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        which, path, out = arguments.child
        print(json.dumps({"ours": run_ours, "plain": run_plain}[which](Path(path), Path(out))))
        return
    rows = measure(tuple(arguments.cells or (10_000, 50_000)), arguments.folder)
    print(_markdown(rows), json.dumps(rows, indent=1), sep="\n\n")


if __name__ == "__main__":
    main()
