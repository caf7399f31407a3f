"""A simulated McFaline24: two RDS files of monocle3 objects, in the two layouts of the deposit."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
import scipy.sparse as sp

from perturbench_lamin.catalog.mcfaline24 import DATASET
from perturbench_lamin.ingestion.r_objects import RObject
from perturbench_lamin.simulation import r_values as r
from perturbench_lamin.simulation.config import SimulationConfig
from perturbench_lamin.simulation.counts import Simulation, simulate_counts
from perturbench_lamin.simulation.deposit import cell_draws, write_truth
from perturbench_lamin.simulation.genes import KINASES, any_targets, ensembl_ids
from perturbench_lamin.simulation.rds_writer import write_rds

LINES = ("A172", "T98G", "U87MG")
TREATMENTS = ("vehicle", "lapatinib", "nintedanib")
FIRST_SCREEN = ("A172", "vehicle"), ("A172", "temozolomide")
SECOND_SCREEN = tuple((line, treatment) for line in LINES for treatment in TREATMENTS)
CONTROLS = ("NTC", "random")

DEFAULTS = SimulationConfig(
    n_cells=11_000, n_genes=800, n_singles=15, n_pairs=0, control_fraction=0.2, target_effect=-2.0
)


@dataclass(frozen=True)
class Screen:
    """The cells of one line in one screen, as a ``cell_data_set`` holds them."""

    counts: sp.csr_matrix
    obs: pd.DataFrame
    var: pd.DataFrame


def simulate_mcfaline24(folder: str | Path, config: SimulationConfig | None = None) -> tuple[Path, Path]:
    """Write a simulated deposit, the two RDS files under ``<folder>/mcfaline24``.

    The first holds one object, A172 without and with temozolomide, in the present layout of the class; the second
    a list of three lines under three treatments, in the older one. Perturbations act alike in both, scaled by each
    state's response. The truth stands beside them in ``simulated_effects.csv`` (natural logarithms, vehicle A172).

    Args:
        folder: where the dataset's folder is made; it can then serve as a mirror.
        config: sizes and strengths; ``n_pairs`` must be 0.

    Returns:
        The paths of the two files.
    """
    config = replace(config or DEFAULTS, n_pairs=0)
    states = (*FIRST_SCREEN, *SECOND_SCREEN)
    simulation = simulate_counts(config, any_targets(KINASES, config.n_singles), states)
    cells = _cells(simulation, states, config)
    home = Path(folder) / DATASET.name
    paths = home / DATASET.raw_files[0].name, home / DATASET.raw_files[1].name
    state = simulation.cells["state"].to_numpy()
    write_rds(paths[0], cell_data_set(_screen(simulation, cells, state < len(FIRST_SCREEN))))
    second = {
        line: cell_data_set(
            _screen(simulation, cells, (state >= len(FIRST_SCREEN)) & (cells["line"] == line).to_numpy()), old=True
        )
        for line in LINES
    }
    write_rds(paths[1], r.named_list(second))
    write_truth(home, simulation.effects, simulation.genes, "+")
    return paths


def cell_data_set(screen: Screen, *, old: bool = False) -> RObject:
    """A monocle3 ``cell_data_set``.

    Args:
        screen: counts, cells and genes.
        old: write the assays as the reference class of before SummarizedExperiment 1.20.
    """
    cells, genes = screen.counts.shape
    assays = r.simple_list({"counts": r.dgc_matrix(screen.counts, list(screen.var.index), list(screen.obs.index))})
    auxiliary = ("reduce_dim_aux", "principal_graph_aux", "principal_graph", "clusters")
    inner = {name: r.data_frame(cells) for name in ("reducedDims", "altExps", "colPairs")}
    return r.s4(
        "cell_data_set",
        "monocle3",
        **{name: r.simple_list() for name in auxiliary},
        int_elementMetadata=r.data_frame(genes, {"rowPairs": r.data_frame(genes)}),
        int_colData=r.data_frame(cells, inner),
        int_metadata=r.named_list({"version": r.version(1, 20, 0)}),
        rowRanges=r.row_ranges(screen.var),
        colData=r.table(screen.obs),
        assays=_assays_old(assays) if old else r.s4("SimpleAssays", "SummarizedExperiment", data=assays),
        NAMES=r.NULL,
        elementMetadata=r.data_frame(genes),
        metadata=r.plain_list(),
    )


def _assays_old(assays: RObject) -> RObject:
    fields = r.environment({"data": assays})
    return r.s4("ShallowSimpleListAssays", "SummarizedExperiment", **{".xData": fields})


def _cells(simulation: Simulation, states: tuple[tuple[str, str], ...], config: SimulationConfig) -> pd.DataFrame:
    rng = cell_draws(config)
    n = len(simulation.cells)
    state, condition = simulation.cells["state"].to_numpy(), simulation.cells["condition"].to_numpy()
    targets = np.array(["", *(name for (name,) in simulation.effects.conditions[1:])], dtype=object)[condition]
    genes = np.where(condition == 0, np.array(CONTROLS, dtype=object)[rng.integers(0, len(CONTROLS), n)], targets)
    umi = np.asarray(simulation.counts.sum(axis=1)).ravel().astype(np.int32)
    names = [f"{1 + i % 12:02d}A_RT_BC_{1 + i // 12}_Lig_BC_{1 + i % 384}" for i in rng.permutation(n)]
    treatments = np.array([treatment for _, treatment in states], dtype=object)[state]
    return pd.DataFrame(
        {
            "cell": pd.Categorical(names),
            "n.umi": umi,
            "gene_id": pd.Categorical(genes),
            "treatment": pd.Categorical(treatments),
            "dose": np.where(treatments == "vehicle", 0.0, 1.0),
            "nFeature_RNA": np.diff(simulation.counts.indptr).astype(np.int32),
            "nCount_RNA": umi,
            "line": np.array([line for line, _ in states], dtype=object)[state],
        },
        index=pd.Index(names),
    )


def _screen(simulation: Simulation, cells: pd.DataFrame, chosen: np.ndarray) -> Screen:
    ids = [f"{name}.1" for name in ensembl_ids(len(simulation.genes))]
    obs = cells.loc[chosen].drop(columns="line")
    for column in obs.select_dtypes("category"):
        obs[column] = obs[column].cat.remove_unused_categories()
    var = pd.DataFrame({"id": ids, "gene_short_name": simulation.genes}, index=pd.Index(ids))
    return Screen(simulation.counts[chosen], obs, var)
