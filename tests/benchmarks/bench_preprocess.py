"""Preprocessing beside the same steps in scanpy: time and peak memory, each in a process of its own.

Both read the same uncompressed h5ad file and write a curated one: genes in 10 cells, totals, normalisation, log1p,
variable genes by cell line, Welch tests of 297 groups, and a compressed result with counts and log1p values (ours
gzip, scanpy's lzf). scanpy also writes the other quality columns that its own steps make. Both genes kept are compared.

Run ``python tests/benchmarks/bench_preprocess.py --cells 10000 --cells 50000``; ``--large`` adds up to 1.6 million.
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

sys.path.insert(0, str(Path(__file__).parent))
from simulated_counts import GENES, simulate

SIZES, LARGE = (10_000, 50_000), (200_000, 400_000, 1_600_000)
"""Cells: beside scanpy, and ours alone (scanpy would need 80 GB for the largest, whose input takes 19 GB of disk)."""

REPEATS = 2
"""Of the sizes beside scanpy, in turn; the fastest of each counts."""

Row = dict[str, Any]


def measure(
    cells: tuple[int, ...] = SIZES, folder: str | Path | None = None, *, large: bool = False, repeats: int = REPEATS
) -> list[Row]:
    """Measure ours and the plain steps side by side.

    Args:
        cells: the sizes to measure side by side.
        folder: where the simulated input and the outputs go; a temporary folder by default.
        large: also measure ours on up to 1.6 million cells; needs 22 GB of disk.
        repeats: of the sizes side by side.

    Returns:
        Rows ``what, cells, ours_seconds, plain_seconds, ours_peak_mib, plain_peak_mib, speedup`` and the plain
        stages. Seconds are from opening the h5ad file to the written result, without imports; ``again`` are those
        of a second call in the same process, in which both have loaded their compiled kernels. The CPU seconds,
        of all threads, say more than the others on a busy machine. Peaks are those of the first call.
    """
    with tempfile.TemporaryDirectory(dir=folder) as temporary:
        place = Path(temporary)
        warm = simulate(place / "warm.h5ad", 3_000)
        for which in ("ours", "again", "plain"):  # all compile their kernels once and keep them
            _child(which, warm, place / "warm_out.h5ad")
        rows = [_beside(n, place, repeats) for n in cells]
        return rows + [_alone(n, place) for n in LARGE if large]


def _beside(cells: int, place: Path, repeats: int) -> Row:
    path = simulate(place / "raw.h5ad", cells)
    path.read_bytes()  # both start from a warm page cache
    pairs = [[_child(which, path, place / f"{which}.h5ad") for which in ("ours", "plain")] for _ in range(repeats)]
    ours, plain = (_fastest(runs) for runs in zip(*pairs, strict=True))
    return _ours(cells, ours) | {
        "plain_seconds": plain["seconds"],
        "speedup": round(plain["seconds"] / ours["seconds"], 2),
        "ours_again": ours["again"],
        "plain_again": plain["again"],
        "speedup_again": round(plain["again"] / ours["again"], 2),
        "plain_cpu_seconds": plain["cpu_seconds"],
        "plain_peak_mib": plain["peak_mib"],
        "same_genes": ours["genes"] == plain["genes"],
        "plain_stages": plain["stages"],
    }


def _fastest(runs: tuple[Row, ...]) -> Row:
    """The fastest run, with the fastest second call."""
    return min(runs, key=lambda run: run["seconds"]) | {"again": min(run["again"] for run in runs)}


def _alone(cells: int, place: Path) -> Row:
    row = _ours(cells, _child("ours", simulate(place / "raw.h5ad", cells), place / "ours.h5ad", calls=1))
    (place / "raw.h5ad").unlink()
    return row


def _ours(cells: int, ours: Row) -> Row:
    return {
        "what": f"preprocess {cells:,} x {GENES:,}",
        "cells": cells,
        "ours_seconds": ours["seconds"],
        "ours_cpu_seconds": ours["cpu_seconds"],
        "ours_peak_mib": ours["peak_mib"],
    }


def draw(rows: list[Row], path: Path) -> None:
    """Draw seconds per 1,000 cells and peak memory against the number of cells, as SVG."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.4), constrained_layout=True)
    for name, label in (("ours", "perturbench_lamin"), ("plain", "scanpy")):
        found = [row for row in rows if f"{name}_seconds" in row]
        cells = [row["cells"] for row in found]
        left.plot(cells, [1000 * row[f"{name}_seconds"] / row["cells"] for row in found], "o-", label=label)
        right.plot(cells, [row[f"{name}_peak_mib"] for row in found], "o-", label=label)
    for axes, title in ((left, "Seconds per 1,000 cells"), (right, "Peak memory in MiB")):
        axes.set(title=title, xlabel="Cells", xscale="log", ylim=(0, None))
        axes.legend()
    path.parent.mkdir(parents=True, exist_ok=True)
    with plt.rc_context({"svg.hashsalt": "preprocess"}):
        figure.savefig(path, metadata={"Date": None})
    plt.close(figure)


def run_ours(path: Path, out: Path, **limits: int) -> dict[str, object]:
    """Our preprocessing of one file."""
    import anndata as ad

    from perturbench_lamin.conditions import ObsKeys
    from perturbench_lamin.curation.preprocess import preprocess_file
    from perturbench_lamin.curation.report import Limits

    start = time.perf_counter()
    preprocess_file(path, out, ObsKeys("condition", ("cell_type",)), limits=Limits(**limits))
    seconds = time.perf_counter() - start
    peak = _peak_mib()
    return _result(seconds, peak, sorted(ad.io.read_elem(_open(out)["var"]).index), {})


def run_again(path: Path, out: Path) -> dict[str, object]:
    """Our preprocessing with nothing held in memory, as most of a large file is: other kernels to compile."""
    return run_ours(path, out, held_mib=0)


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


def _called(which: str, path: Path, out: Path, calls: int) -> Row:
    """The first call's result, with its CPU seconds and the seconds of the last call."""
    call = {"ours": run_ours, "again": run_again, "plain": run_plain}[which]
    start = time.process_time()
    first = call(path, out) | {"cpu_seconds": round(time.process_time() - start, 2)}
    return first | {"again": call(path, out)["seconds"] if calls > 1 else first["seconds"]}


def _child(which: str, path: Path, out: Path, calls: int = 2) -> Row:
    command = [sys.executable, __file__, "--child", which, str(path), str(out), str(calls)]
    root = str(Path(__file__).parents[2])
    found = os.environ.get("PYTHONPATH")
    environment = os.environ | {"PYTHONPATH": f"{root}{os.pathsep}{found}" if found else root}
    done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def _markdown(rows: list[dict[str, object]]) -> str:
    columns = [name for name in rows[0] if name not in ("cells", "plain_stages")]
    rows = [dict.fromkeys(columns, "") | row for row in rows]
    lines = ["| " + " | ".join(columns) + " |", "|" + "---|" * len(columns)]
    return "\n".join([*lines, *("| " + " | ".join(str(row[c]) for c in columns) + " |" for row in rows)])


def main() -> None:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cells", type=int, action="append", help="a size to measure; may be repeated")
    parser.add_argument("--folder", help="where there is room for the simulated input")
    parser.add_argument("--large", action="store_true", help="also measure up to 1.6 million cells, ours alone")
    parser.add_argument("--repeats", type=int, default=REPEATS, help="of the sizes beside scanpy")
    parser.add_argument("--picture", type=Path, help="draw the costs into this SVG file")
    parser.add_argument("--child", nargs=4, metavar=("WHICH", "IN", "OUT", "CALLS"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        which, path, out, calls = arguments.child
        print(json.dumps(_called(which, Path(path), Path(out), int(calls))))
        return
    cells = tuple(arguments.cells or SIZES)
    rows = measure(cells, arguments.folder, large=arguments.large, repeats=arguments.repeats)
    if arguments.picture:
        draw(rows, arguments.picture)
    print(_markdown(rows), json.dumps(rows, indent=1), sep="\n\n")


if __name__ == "__main__":
    main()
