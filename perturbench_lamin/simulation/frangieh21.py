"""A simulated Frangieh21, in the layout of its scPerturb deposit."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from perturbench_lamin.catalog.frangieh21 import DATASET
from perturbench_lamin.simulation.config import SimulationConfig
from perturbench_lamin.simulation.counts import Simulation, barcodes, simulate_counts
from perturbench_lamin.simulation.deposit import (
    as_categories,
    cell_draws,
    cell_totals,
    condition_names,
    scperturb_genes,
    state_values,
    write_h5ad_deposit,
    write_truth,
)
from perturbench_lamin.simulation.genes import REGULATORS, any_targets

CONTROL = "control"
TREATMENTS = (("Control",), ("Co-culture",), ("IFNγ",))
ABOUT = "Simulated counts in the layout of FrangiehIzar2021_RNA.h5ad; no cell of it was ever measured."
DEFAULTS = SimulationConfig(
    n_cells=8_000, n_genes=1_000, n_singles=24, n_pairs=0, control_fraction=0.25, target_effect=-2.0
)


def simulate_frangieh21(folder: str | Path, config: SimulationConfig | None = None) -> Path:
    """Write a simulated deposit, ``<folder>/frangieh21/FrangiehIzar2021_RNA.h5ad``, its counts stored by columns.

    The truth stands beside it in ``simulated_effects.csv``.

    Args:
        folder: where the dataset's folder is made; it can then serve as a mirror.
        config: sizes and strengths; ``n_pairs`` is taken as 0.

    Returns:
        The path of the h5ad file.
    """
    config = replace(config or DEFAULTS, n_pairs=0)
    simulation = simulate_counts(config, any_targets(REGULATORS, config.n_singles), TREATMENTS)
    var = scperturb_genes(simulation)[["ensembl_id"]]
    path = write_h5ad_deposit(folder, DATASET, simulation.counts.tocsc(), _cells(simulation, config), var, ABOUT)
    write_truth(path.parent, simulation.effects, simulation.genes, "+")
    return path


def _cells(simulation: Simulation, config: SimulationConfig) -> pd.DataFrame:
    rng = cell_draws(config)
    n = config.n_cells
    totals, detected = cell_totals(simulation)
    targets = ["", *(name for (name,) in simulation.effects.conditions[1:])]
    guides = [f"{target}_1" if target else "NO_SITE_1" for target in targets]
    umap = rng.normal(0.0, 5.0, (n, 2))
    obs = pd.DataFrame(
        {
            "library_preparation_protocol": "10X 3' v3 sequencing",
            "perturbation_2": state_values(simulation, TREATMENTS, 0),
            "MOI": 1.0,
            "sgRNA": condition_names(simulation, guides),
            "UMI_count": totals,
            "guide_id": condition_names(simulation, guides),
            "umap_x": umap[:, 0],
            "umap_y": umap[:, 1],
            "perturbation": condition_names(simulation, [target or CONTROL for target in targets]),
            "tissue_type": "primary",
            "cancer": True,
            "disease": "melanoma",
            "perturbation_type": "CRISPR-cas9",
            "celltype": "melanocytes",
            "organism": "human",
            "perturbation_type_2": "cytokine",
            "nperts": (simulation.cells["condition"].to_numpy() > 0).astype(np.int64),
            "ngenes": detected,
            "ncounts": totals,
            "percent_mito": 0.0,
            "percent_ribo": 0.0,
        },
        index=pd.Index([f"CELL_{name}" for name in barcodes(n, rng)], name="cell"),
    )
    return as_categories(obs)
