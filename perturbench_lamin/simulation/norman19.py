"""A simulated Norman19, in the layout of its scPerturb deposit."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from perturbench_lamin.catalog.norman19 import DATASET
from perturbench_lamin.files import atomic_path
from perturbench_lamin.simulation.config import SimulationConfig
from perturbench_lamin.simulation.counts import Simulation, barcodes, simulate_counts
from perturbench_lamin.simulation.effects import effects_table
from perturbench_lamin.simulation.genes import NORMAN19_TARGETS, ensembl_ids, first_targets

CONTROL = "control"
PAIR = "_"
TRUTH_NAME = "simulated_effects.csv"
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
    import anndata as ad

    config = config or SimulationConfig()
    simulation = simulate_counts(config, first_targets(NORMAN19_TARGETS, config.n_singles))
    adata = ad.AnnData(
        X=simulation.counts,
        obs=_cells(simulation, config),
        var=_genes(simulation),
        uns={"simulated": True, "simulation": ABOUT},
    )
    path = Path(folder) / DATASET.name / DATASET.raw_files[0].name
    with atomic_path(path) as temporary:
        adata.write_h5ad(temporary, compression="gzip")
    with atomic_path(path.with_name(TRUTH_NAME)) as temporary:
        effects_table(simulation.effects, simulation.genes, PAIR).to_csv(temporary, index=False, lineterminator="\n")
    return path


def _cells(simulation: Simulation, config: SimulationConfig) -> pd.DataFrame:
    rng = np.random.default_rng(np.random.SeedSequence(config.seed).spawn(4)[3])
    n = config.n_cells
    conditions = simulation.effects.conditions
    rows = simulation.cells["condition"].to_numpy()
    names = np.array([PAIR.join(condition) or CONTROL for condition in conditions], dtype=object)[rows]
    totals = np.asarray(simulation.counts.sum(axis=1)).ravel()
    umi = rng.poisson(20.0, n) + 1
    obs = pd.DataFrame(
        {
            "guide_id": np.array([_guide(condition) for condition in conditions], dtype=object)[rows],
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
            "perturbation": names,
            "nperts": np.array([len(condition) for condition in conditions])[rows],
            "ngenes": np.diff(simulation.counts.indptr).astype(np.int64),
            "ncounts": totals.astype(np.float64),
            "percent_mito": 0.0,
            "percent_ribo": 0.0,
        },
        index=pd.Index(barcodes(n, rng), name="cell_barcode"),
    )
    return obs.astype(dict.fromkeys(obs.select_dtypes(object).columns, "category"))


def _genes(simulation: Simulation) -> pd.DataFrame:
    counts = simulation.counts
    return pd.DataFrame(
        {
            "ensemble_id": ensembl_ids(len(simulation.genes)),
            "ncounts": np.asarray(counts.sum(axis=0)).ravel().astype(np.float32),
            "ncells": np.bincount(counts.indices, minlength=counts.shape[1]).astype(np.int64),
        },
        index=pd.Index(simulation.genes, name="gene_symbol"),
    )


def _guide(condition: tuple[str, ...]) -> str:
    """Two guides a cell, as in the screen: a cell of one perturbation has a control guide beside it."""
    filled = [*condition, "NegCtrl0", "NegCtrl0"][:2]
    return f"{'_'.join(filled)}__{'_'.join(filled)}"
