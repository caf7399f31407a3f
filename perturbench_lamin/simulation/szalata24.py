"""A simulated Szalata24 (OP3), in the layout of its GEO deposit."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from perturbench_lamin.catalog.szalata24 import DATASET
from perturbench_lamin.simulation.compounds import DMSO, Compound, some_compounds
from perturbench_lamin.simulation.config import SimulationConfig
from perturbench_lamin.simulation.counts import Simulation, barcodes, simulate_counts
from perturbench_lamin.simulation.deposit import (
    as_categories,
    cell_draws,
    condition_names,
    state_values,
    write_h5ad_deposit,
    write_truth,
)
from perturbench_lamin.simulation.genes import KINASES, any_targets

CELL_TYPES = (("T cells",), ("NK cells",), ("B cells",), ("Myeloid cells",))
HELD_OUT = ("B cells", "Myeloid cells")
"""Cell types in which two of three compounds are asked for."""

POSITIVE_CONTROLS = 2
PARTS = ("train", "public_test", "private_test")
DOSES = {"Belinostat": 0.1, DMSO.name: 14.1}
ABOUT = "Simulated counts in the layout of GSE279945_sc_counts_processed.h5ad; no cell of it was ever measured."
DEFAULTS = SimulationConfig(
    n_cells=9_000, n_genes=800, n_singles=16, n_pairs=0, control_fraction=0.1, target_effect=-1.0
)


def simulate_szalata24(folder: str | Path, config: SimulationConfig | None = None) -> Path:
    """Write a simulated deposit, ``<folder>/szalata24/GSE279945_sc_counts_processed.h5ad``.

    The split is the deposit's: every compound is in training in T and NK cells, and by turns in training, in the
    public and in the private test set in the others; solvent and positive controls are marked ``control``. (The
    benchmark leaves out test conditions of fewer than 100 cells: take ``n_cells`` accordingly.) The truth stands
    beside it in ``simulated_effects.csv``.

    Args:
        folder: where the dataset's folder is made; it can then serve as a mirror.
        config: sizes and strengths; ``n_pairs`` is taken as 0.

    Returns:
        The path of the h5ad file.
    """
    config = replace(config or DEFAULTS, n_pairs=0)
    simulation = simulate_counts(config, any_targets(KINASES, config.n_singles), CELL_TYPES)
    compounds = [DMSO, *some_compounds(config.n_singles)]
    var = pd.DataFrame(index=pd.Index(simulation.genes))
    obs = _cells(simulation, compounds, config)
    path = write_h5ad_deposit(folder, DATASET, simulation.counts, obs, var, ABOUT)
    write_truth(path.parent, simulation.effects, simulation.genes, "+", [compound.name for compound in compounds])
    return path


def _cells(simulation: Simulation, compounds: list[Compound], config: SimulationConfig) -> pd.DataFrame:
    rng = cell_draws(config)
    n = config.n_cells
    names = [compound.name for compound in compounds]
    cell_types = state_values(simulation, CELL_TYPES, 0)
    split = _split(simulation.cells["condition"].to_numpy(), np.isin(cell_types, HELD_OUT))
    rows, columns = rng.integers(0, 8, n), rng.integers(1, 13, n)
    obs = pd.DataFrame(
        {
            "dose_uM": condition_names(simulation, [DOSES.get(name, 1.0) for name in names]).astype(np.float64),
            "timepoint_hr": 24.0,
            "well": [f"{'ABCDEFGH'[row]}{column}" for row, column in zip(rows, columns, strict=True)],
            "plate_name": [f"plate_{number}" for number in rng.integers(0, 6, n)],
            "cell_type": cell_types,
            "split": split,
            "donor_id": [f"Donor {number}" for number in rng.integers(1, 4, n)],
            "sm_name": condition_names(simulation, names),
            "sm_lincs_id": condition_names(simulation, [f"LSM-{number:05d}" for number in range(len(names))]),
            "SMILES": condition_names(simulation, [compound.smiles for compound in compounds]),
            "control": split == "control",
        },
        index=pd.Index(barcodes(n, rng), name="obs_id"),
    )
    return as_categories(obs)


def _split(condition: npt.NDArray[np.int64], held_out: npt.NDArray[np.bool_]) -> npt.NDArray[np.object_]:
    turns = np.array(PARTS, dtype=object)[(condition - 1) % len(PARTS)]
    split = np.where(held_out, turns, "train")
    return np.where(condition <= POSITIVE_CONTROLS, "control", split)
