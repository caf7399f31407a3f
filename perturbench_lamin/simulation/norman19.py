"""A simulated Norman19, in the layout of its scPerturb deposit."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from perturbench_lamin.catalog.norman19 import DATASET
from perturbench_lamin.simulation.config import SimulationConfig
from perturbench_lamin.simulation.counts import Simulation, barcodes, simulate_counts
from perturbench_lamin.simulation.deposit import (
    as_categories,
    cell_draws,
    cell_totals,
    condition_names,
    scperturb_genes,
    write_h5ad_deposit,
    write_truth,
)
from perturbench_lamin.simulation.genes import NORMAN19_TARGETS, any_targets

CONTROL = "control"
PAIR = "_"
ABOUT = "Simulated counts in the layout of NormanWeissman2019_filtered.h5ad; no cell of it was ever measured."


def simulate_norman19(folder: str | Path, config: SimulationConfig | None = None) -> Path:
    """Write a simulated deposit, ``<folder>/norman19/NormanWeissman2019_filtered.h5ad``.

    ``folder`` can then serve as a mirror. The truth stands beside it in ``simulated_effects.csv``: a row per condition
    and changed gene (natural logarithms). ``uns["simulated"]`` is true.

    Args:
        folder: where the dataset's folder is made.
        config: sizes and strengths.

    Returns:
        The path of the h5ad file.
    """
    config = config or SimulationConfig()
    simulation = simulate_counts(config, any_targets(NORMAN19_TARGETS, config.n_singles))
    obs, var = _cells(simulation, config), scperturb_genes(simulation, "ensemble_id")
    path = write_h5ad_deposit(folder, DATASET, simulation.counts, obs, var, ABOUT)
    write_truth(path.parent, simulation.effects, simulation.genes, PAIR)
    return path


def _cells(simulation: Simulation, config: SimulationConfig) -> pd.DataFrame:
    rng = cell_draws(config)
    n = config.n_cells
    conditions = simulation.effects.conditions
    totals, detected = cell_totals(simulation)
    umi = rng.poisson(20.0, n) + 1
    obs = pd.DataFrame(
        {
            "guide_id": condition_names(simulation, [_guide(condition) for condition in conditions]),
            "read_count": umi * 30,
            "UMI_count": umi.astype(np.float64),
            "coverage": 30.0,
            "gemgroup": rng.integers(1, 9, n),
            "good_coverage": True,
            "number_of_cells": 1,
            "tissue_type": "cell_line",
            "cell_line": "K562",
            "cancer": True,
            "disease": "chronic myelogenous leukemia",
            "perturbation_type": "CRISPR",
            "celltype": "lymphoblasts",
            "organism": "human",
            "perturbation": condition_names(simulation, [PAIR.join(condition) or CONTROL for condition in conditions]),
            "nperts": np.array([len(condition) for condition in conditions])[simulation.cells["condition"].to_numpy()],
            "ngenes": detected,
            "ncounts": totals,
            "percent_mito": 0.0,
            "percent_ribo": 0.0,
        },
        index=pd.Index(barcodes(n, rng), name="cell_barcode"),
    )
    return as_categories(obs)


def _guide(condition: tuple[str, ...]) -> str:
    """Two guides a cell, as in the screen: a cell of one perturbation has a control guide beside it."""
    filled = [*condition, "NegCtrl0", "NegCtrl0"][:2]
    return f"{'_'.join(filled)}__{'_'.join(filled)}"
