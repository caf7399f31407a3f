"""A simulated Jiang25: five RDS files of Seurat objects, one a cytokine."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd

from perturbench_lamin.catalog.jiang25 import CYTOKINES, DATASET
from perturbench_lamin.simulation.config import SimulationConfig
from perturbench_lamin.simulation.counts import Simulation, barcodes, simulate_counts
from perturbench_lamin.simulation.deposit import (
    as_categories,
    cell_draws,
    cell_totals,
    condition_names,
    state_values,
    write_truth,
)
from perturbench_lamin.simulation.genes import REGULATORS, any_targets
from perturbench_lamin.simulation.rds_writer import write_rds
from perturbench_lamin.simulation.seurat_values import seurat

LINES = ("A549", "BXPC3", "HAP1", "HT29", "K562", "MCF7")
STATES = tuple(product(CYTOKINES, LINES))
CONTROL = "NT"
DEFAULTS = SimulationConfig(
    n_cells=20_000, n_genes=800, n_singles=12, n_pairs=0, control_fraction=0.15, target_effect=-2.0
)


def simulate_jiang25(folder: str | Path, config: SimulationConfig | None = None) -> tuple[Path, ...]:
    """Write a simulated deposit, five RDS files of Seurat objects under ``<folder>/jiang25``.

    Each holds six lines under one cytokine, with counts and normalised values. Every regulator is perturbed under
    every cytokine (the screen has a panel a cytokine). The files use the same barcodes, so that a cell's name alone
    does not say which cell it is. The truth stands beside them in ``simulated_effects.csv``.

    Args:
        folder: where the dataset's folder is made; it can then serve as a mirror.
        config: sizes and strengths; ``n_pairs`` is taken as 0.

    Returns:
        The paths of the files, in the catalog's order.
    """
    config = replace(config or DEFAULTS, n_pairs=0)
    simulation = simulate_counts(config, any_targets(REGULATORS, config.n_singles), STATES)
    cytokine = state_values(simulation, STATES, 0)
    cells = _cells(simulation, config)
    home = Path(folder) / DATASET.name
    names = barcodes(len(cells), cell_draws(config))
    paths = []
    for raw_file, name in zip(DATASET.raw_files, CYTOKINES, strict=True):
        here = np.flatnonzero(cytokine == name)
        obs = as_categories(cells.iloc[here]).set_axis(pd.Index(names[: len(here)]))
        paths.append(write_rds(home / raw_file.name, seurat(simulation.counts[here], obs, simulation.genes)))
    write_truth(home, simulation.effects, simulation.genes, "+")
    return tuple(paths)


def _cells(simulation: Simulation, config: SimulationConfig) -> pd.DataFrame:
    rng = np.random.default_rng(np.random.SeedSequence(config.seed).spawn(5)[4])
    totals, detected = cell_totals(simulation)
    targets = [CONTROL, *(name for (name,) in simulation.effects.conditions[1:])]
    genes = condition_names(simulation, targets)
    return pd.DataFrame(
        {
            "orig.ident": "Simulated",
            "nCount_RNA": totals,
            "nFeature_RNA": detected.astype(np.int32),
            "guide": [f"{gene}g{number}" for gene, number in zip(genes, rng.integers(1, 4, len(genes)), strict=True)],
            "gene": genes,
            "cell_type": state_values(simulation, STATES, 1),
            "Batch_info": [f"Rep{number}" for number in rng.integers(1, 3, len(genes))],
            "percent.mt": 0.0,
        }
    )
