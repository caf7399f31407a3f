"""What the simulated deposits share: tables that agree with the counts, and the truth beside the files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from perturbench_lamin.catalog.dataset import Dataset
from perturbench_lamin.files import atomic_path
from perturbench_lamin.simulation.config import SimulationConfig
from perturbench_lamin.simulation.counts import Simulation
from perturbench_lamin.simulation.effects import Effects, effects_table
from perturbench_lamin.simulation.genes import ensembl_ids

TRUTH_NAME = "simulated_effects.csv"
"""Beside the files: a row per condition and changed gene, natural logarithms."""


def cell_draws(config: SimulationConfig) -> np.random.Generator:
    """The generator of what a deposit says of its cells, apart from those of the truth and the counts."""
    return np.random.default_rng(np.random.SeedSequence(config.seed).spawn(4)[3])


def condition_names(simulation: Simulation, names: Sequence[object]) -> npt.NDArray[np.object_]:
    """(cells,) each cell's condition under the deposit's names, ``names[0]`` the control's."""
    return np.array(names, dtype=object)[simulation.cells["condition"].to_numpy()]


def state_values(simulation: Simulation, states: Sequence[tuple[str, ...]], place: int) -> npt.NDArray[np.object_]:
    """(cells,) each cell's value of one covariate."""
    return np.array([state[place] for state in states], dtype=object)[simulation.cells["state"].to_numpy()]


def cell_totals(simulation: Simulation) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]:
    """(cells,) counts, and (cells,) genes detected."""
    totals = np.asarray(simulation.counts.sum(axis=1)).ravel().astype(np.float64)
    return totals, np.diff(simulation.counts.indptr).astype(np.int64)


def as_categories(obs: pd.DataFrame) -> pd.DataFrame:
    """The table with text as categories, as deposits store it."""
    return obs.astype(dict.fromkeys(obs.select_dtypes(object).columns, "category"))


def scperturb_genes(simulation: Simulation, id_column: str = "ensembl_id") -> pd.DataFrame:
    """The table of genes as scPerturb's files have it, by symbol."""
    counts = simulation.counts
    return pd.DataFrame(
        {
            id_column: ensembl_ids(len(simulation.genes)),
            "ncounts": np.asarray(counts.sum(axis=0)).ravel().astype(np.float32),
            "ncells": np.bincount(counts.indices, minlength=counts.shape[1]).astype(np.int64),
        },
        index=pd.Index(simulation.genes, name="gene_symbol"),
    )


def write_h5ad_deposit(
    folder: str | Path, dataset: Dataset, x: Any, obs: pd.DataFrame, var: pd.DataFrame, about: str
) -> Path:
    """Write ``<folder>/<dataset>/<file name>``, the catalog's only raw file of a dataset; marked as simulated."""
    import anndata as ad

    from perturbench_lamin.storage.writing import write_h5ad

    adata = ad.AnnData(X=x, obs=obs, var=var, uns={"simulated": True, "simulation": about})
    path = Path(folder) / dataset.name / dataset.raw_files[0].name
    with atomic_path(path) as temporary:
        write_h5ad(adata, temporary, compression="gzip")
    return path


def is_simulated(folder: str | Path, dataset: str) -> bool:
    """Whether the dataset's files in a folder of raw files are a simulated deposit: its truth lies beside them."""
    return (Path(folder) / dataset / TRUTH_NAME).is_file()


def write_truth(
    home: Path, effects: Effects, genes: Sequence[str], join: str, names: Sequence[str] | None = None
) -> Path:
    """Write the truth into a deposit's folder.

    Args:
        home: the folder.
        effects: the truth.
        genes: the genes' names.
        join: what joins the tokens of a pair.
        names: the conditions' names in the deposit, the control's first, where they are not those of the targets.
    """
    if names is not None:
        effects = replace(effects, conditions=tuple((name,) for name in names))
    with atomic_path(home / TRUTH_NAME) as temporary:
        effects_table(effects, genes, join).to_csv(temporary, index=False, lineterminator="\n")
    return home / TRUTH_NAME
