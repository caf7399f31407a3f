"""Run every benchmark and write the report: ``docs/benchmarks.md`` for people, ``docs/benchmarks.json`` for programs.

Each benchmark runs ours and a plain implementation in one process or one after the other, so that both meet the
same machine. Run on a quiet machine: ``make bench``.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

from perturbench_lamin.cli.main import HUGE_PAGES

FOLDER = Path(__file__).resolve().parent
DOCS = FOLDER.parents[1] / "docs"
LIBRARIES = ("numpy", "scipy", "numba", "pandas", "anndata", "scanpy", "torch", "lightning")

Rows = list[dict[str, Any]]
Section = dict[str, Any]
"""``machine``: facts about it; ``rows``: what was measured."""


PICTURES = {"curation": "pictures/preprocess.svg"}


def curation(large: bool = False) -> Rows:
    """Preprocess, against the same steps through scanpy; the fastest of two processes each."""
    import bench_preprocess

    return bench_preprocess.measure(large=large)


def reading(large: bool = False) -> Rows:
    """R's files: peak memory of the whole process beside the matrix that comes out."""
    import bench_rds

    return bench_rds.measure(100_000_000 if large else 10_000_000)


def loading(large: bool = False) -> Rows:
    """Control-matched batches, against scipy indexing, a Python draw per cell, and the memory's bandwidth."""
    import bench_loading

    return bench_loading.rows()


def training(large: bool = False) -> Rows:
    """Training steps at published hyperparameters against plain torch, Lightning's overhead."""
    import bench_training

    return bench_training.measure(large=large)


def memory(large: bool = False) -> Rows:
    """Training on 100,000 cells: peak memory beyond imports, against the dataset as CSR of float32 and int32."""
    import bench_training_memory

    return bench_training_memory.measure()


def evaluation(large: bool = False) -> Rows:
    """Means, RMSE, cosine and their ranks, and the metrics in PCA space, against plain loops."""
    import bench_evaluation

    return bench_evaluation.measure(1.0, pca=True, energy=True, full=True)


def comparison(large: bool = False) -> Rows:
    """Two files compared by content, against reading both with anndata; peak memory of the whole process."""
    import bench_comparison

    return bench_comparison.measure() + (bench_comparison.measure(bench_comparison.LARGE, plain=False) if large else [])


def browse(large: bool = False) -> Rows:
    """The site of an instance with 2,000 artifacts: to write it, and to open its largest pages in a browser."""
    import bench_browse

    return bench_browse.measure(10_000 if large else 2_000)


BENCHMARKS: dict[str, Callable[[bool], Rows]] = {
    "curation": curation,
    "reading": reading,
    "loading": loading,
    "training": training,
    "memory": memory,
    "evaluation": evaluation,
    "comparison": comparison,
    "browse": browse,
}


def machine() -> dict[str, str]:
    """What the figures were measured on."""
    model = "unknown"
    if Path("/proc/cpuinfo").exists():
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        model = next((line.split(": ")[1] for line in lines if line.startswith("model name")), model)
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return {
        "date": time.strftime("%Y-%m-%d"),
        "processor": f"{model}, {len(os.sched_getaffinity(0))} cores",
        "memory": f"{memory:.0f} GiB",
        "load before": f"{os.getloadavg()[0]:.2f}",
        "Python": platform.python_version(),
        "libraries": ", ".join(f"{name} {version(name)}" for name in LIBRARIES),
    }


def in_its_own_process(name: str, large: bool) -> Rows:
    """The rows of one benchmark, measured in a fresh process."""
    command = [sys.executable, __file__, "--only", name, *(["--large"] if large else [])]
    # The plain implementations have the memory pages that the command line asks for, too.
    environment = {**os.environ, **HUGE_PAGES}
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, cwd=FOLDER, env=environment)
    rows: Rows = json.loads(done.stdout.split("ROWS")[1])
    return rows


def markdown(sections: dict[str, Section]) -> str:
    """The report: each section says on what machine, and how busy it was."""
    parts = ["# Benchmarks\n\nWritten by `make bench`. Ours and the plain implementation ran side by side.\n"]
    for name in (name for name in BENCHMARKS if name in sections):
        facts, rows = sections[name]["machine"], sections[name]["rows"]
        parts.append(f"## {name.capitalize()}\n\n{BENCHMARKS[name].__doc__}\n\n{table(rows)}")
        if name in PICTURES:
            parts.append(f"![Cost against size]({PICTURES[name]})\n")
        parts.append("; ".join(f"{name}: {fact}" for name, fact in facts.items()) + ".\n")
    return "\n".join(parts)


def table(rows: Rows) -> str:
    """Rows as a Markdown table."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    lines = [names, ["---"] * len(names)]
    lines += [[shown(row.get(name, "")) for name in names] for row in rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def shown(value: object) -> str:
    """A value for reading."""
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", choices=BENCHMARKS, help="print one benchmark's rows as JSON and write nothing")
    parser.add_argument("--large", action="store_true", help="also measure up to 1.6 million cells (22 GB of disk)")
    parser.add_argument(
        "--section", choices=BENCHMARKS, action="append", help="measure this one anew and keep the others; repeatable"
    )
    arguments = parser.parse_args()
    sys.path.insert(0, str(FOLDER))
    if arguments.only:
        print("ROWS" + json.dumps(BENCHMARKS[arguments.only](arguments.large), default=float))
        return
    sections = earlier() if arguments.section else {}
    for name in arguments.section or BENCHMARKS:
        print(f"{name} …", flush=True)
        facts = machine()
        sections[name] = {"machine": facts, "rows": in_its_own_process(name, arguments.large)}
        print(table(sections[name]["rows"]), flush=True)
        write(sections)
    print(f"Written: {DOCS / 'benchmarks.md'}")


def earlier() -> dict[str, Section]:
    """The sections of the report that is there."""
    path = DOCS / "benchmarks.json"
    found: dict[str, Section] = json.loads(path.read_text()) if path.exists() else {}
    return {name: section for name, section in found.items() if name in BENCHMARKS}


def write(sections: dict[str, Section]) -> None:
    """Write the report and its picture."""
    import bench_preprocess

    if "curation" in sections:
        bench_preprocess.draw(sections["curation"]["rows"], DOCS / PICTURES["curation"])
    (DOCS / "benchmarks.md").write_text(markdown(sections))
    (DOCS / "benchmarks.json").write_text(json.dumps(sections, indent=1, default=float) + "\n")


if __name__ == "__main__":
    main()
