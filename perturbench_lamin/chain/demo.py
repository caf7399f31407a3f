"""The demo: a simulated deposit in the layout of Norman19, and a benchmark small enough for a laptop."""

from __future__ import annotations

from pathlib import Path

from perturbench_lamin.chain.benchmark import BenchmarkConfig

HIGHLY_VARIABLE = 500


def demo_config(raw_folder: Path) -> BenchmarkConfig:
    """Five models, two seeds where a seed matters, on simulated data."""
    return BenchmarkConfig(
        seeds=(1, 2), curation={"highly_variable": HIGHLY_VARIABLE}, simulated=True, raw_folder=raw_folder
    )


def simulate_deposit(folder: Path) -> Path:
    """Write the simulated raw file, unless it is there, and return the folder to be used as that of raw files."""
    from perturbench_lamin.catalog.datasets import get_dataset
    from perturbench_lamin.simulation.norman19 import simulate_norman19

    dataset = get_dataset("norman19")
    if not (folder / dataset.name / dataset.raw_files[0].name).exists():
        simulate_norman19(folder)
    return folder
