"""A simulated Srivatsan20 (sci-Plex 3), in the layout of its scPerturb deposit."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from perturbench_lamin.catalog.srivatsan20 import DATASET
from perturbench_lamin.simulation.compounds import some_drugs
from perturbench_lamin.simulation.config import SimulationConfig
from perturbench_lamin.simulation.counts import Simulation, simulate_counts
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
from perturbench_lamin.simulation.genes import KINASES, any_targets

LINES = (("A549",), ("K562",), ("MCF7",))
DOSES = (10.0, 100.0, 1_000.0, 10_000.0)
SHARES = (1 / 6, 1 / 6, 1 / 6, 1 / 2)
"""Of the treated cells: half get the highest dose, so that a small simulation keeps enough of it."""

UNASSIGNED = 0.02
"""Share of the cells whose line and drug could not be told."""

ODD_IDS = ("other-assembly-1", None)
"""Ids of the last genes; None repeats that of the gene before them."""

ABOUT = "Simulated counts in the layout of SrivatsanTrapnell2020_sciplex3.h5ad; no cell of it was ever measured."
DEFAULTS = SimulationConfig(
    n_cells=12_000, n_genes=1_000, n_singles=24, n_pairs=0, control_fraction=0.1, target_effect=-1.0
)


def simulate_srivatsan20(folder: str | Path, config: SimulationConfig | None = None) -> Path:
    """Write a simulated deposit, ``<folder>/srivatsan20/SrivatsanTrapnell2020_sciplex3.h5ad``.

    Each drug acts alike at all four doses. As in the deposit, some cells have neither line nor drug, two genes share
    an Ensembl id, and one has an id of another kind. The truth stands beside it in ``simulated_effects.csv``.

    Args:
        folder: where the dataset's folder is made; it can then serve as a mirror.
        config: sizes and strengths; ``n_pairs`` is taken as 0.

    Returns:
        The path of the h5ad file.
    """
    config = replace(config or DEFAULTS, n_pairs=0)
    simulation = simulate_counts(config, any_targets(KINASES, config.n_singles), LINES)
    names = ["control", *some_drugs(config.n_singles)]
    obs = _cells(simulation, names, config)
    path = write_h5ad_deposit(folder, DATASET, simulation.counts, obs, _genes(simulation), ABOUT)
    write_truth(path.parent, simulation.effects, simulation.genes, "+", names)
    return path


def _genes(simulation: Simulation) -> pd.DataFrame:
    var = scperturb_genes(simulation)
    ids = var["ensembl_id"].tolist()
    if len(ids) > len(ODD_IDS):
        ids[-len(ODD_IDS) :] = [ids[-len(ODD_IDS) - 1] if odd is None else odd for odd in ODD_IDS]
    return var.assign(ensembl_id=ids)


def _cells(simulation: Simulation, names: list[str], config: SimulationConfig) -> pd.DataFrame:
    rng = cell_draws(config)
    n = config.n_cells
    drug = condition_names(simulation, names)
    treated = drug != names[0]
    totals, detected = cell_totals(simulation)
    plates = rng.integers(1, 53, n)
    obs = pd.DataFrame(
        {
            "ncounts": totals,
            "well": [f"{'ABCDEFGH'[plate % 8]}{1 + plate % 12}" for plate in plates],
            "plate": [f"plate{plate}" for plate in plates],
            "cell_line": state_values(simulation, LINES, 0),
            "replicate": [f"rep{number}" for number in rng.integers(1, 3, n)],
            "time": 24.0,
            "dose_value": np.where(treated, rng.choice(DOSES, n, p=SHARES), 0.0),
            "pathway_level_1": np.where(treated, "Epigenetic regulation", "Vehicle"),
            "pathway_level_2": np.where(treated, "Histone deacetylation", "Vehicle"),
            "perturbation": drug,
            "target": np.where(treated, "HDAC", "Vehicle"),
            "pathway": np.where(treated, "Epigenetics", "Vehicle"),
            "dose_unit": "nM",
            "celltype": "epithelial cells",
            "disease": "cancer",
            "cancer": True,
            "tissue_type": "cell_line",
            "organism": "human",
            "perturbation_type": "drug",
            "ngenes": detected,
            "percent_mito": 0.0,
            "percent_ribo": 0.0,
            "nperts": treated.astype(np.int64),
            "chembl-ID": condition_names(simulation, [None, *("CHEMBL0000000" for _ in names[1:])]),
        },
        index=pd.Index([f"{chr(65 + i % 8)}{i:07d}_RT_{i % 96}" for i in rng.permutation(n)], name="cell"),
    )
    lost = rng.random(n) < UNASSIGNED
    obs.loc[lost, ["cell_line", "perturbation", "chembl-ID"]] = None
    obs.loc[lost, "dose_value"] = np.nan
    return as_categories(obs)
