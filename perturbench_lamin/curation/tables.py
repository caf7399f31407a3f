"""The tables of a curated file: cells, genes, and the genes that respond."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from perturbench_lamin.conditions import ObsKeys
from perturbench_lamin.curation.counts import CountSums
from perturbench_lamin.curation.groups import CellGroups
from perturbench_lamin.curation.selection import Choice, Tops
from perturbench_lamin.errors import InputError


@dataclass(frozen=True)
class KeptGenes:
    """The genes kept: their columns in the source, sorted by name, and why each was kept."""

    names: pd.Index
    columns: np.ndarray
    highly_variable: np.ndarray
    differentially_expressed: np.ndarray
    perturbed: np.ndarray
    expressed: pd.Index
    total: int


def kept_genes(names: pd.Index, expressed: np.ndarray, choice: Choice, tokens: pd.Series) -> KeptGenes:
    """The union of variable, responding and perturbed genes, sorted by name.

    Args:
        names: the names of all genes.
        expressed: (all genes,) which are expressed in enough cells.
        choice: the variable and responding ones among these.
        tokens: every perturbation.

    Raises:
        InputError: no gene is left.
    """
    places = np.flatnonzero(expressed)
    responds = np.zeros(len(places), dtype=bool)
    responds[choice.tops.gene] = True
    perturbed = names[places].isin(set(tokens))
    keep = choice.variable | responds | perturbed
    require_some(keep, "No gene is highly variable, differentially expressed or perturbed")
    order = np.flatnonzero(keep)
    order = order[np.argsort(names[places[order]].to_numpy(dtype=object), kind="stable")]
    reasons = (choice.variable[order], responds[order], perturbed[order])
    return KeptGenes(names[places[order]], places[order], *reasons, expressed=names[places], total=len(names))


def cell_table(obs: pd.DataFrame, keys: ObsKeys, sums: CountSums) -> pd.DataFrame:
    """The table of cells with conditions and covariates as categories, and ``ncounts`` and ``ngenes``."""
    obs = _set_aside(obs, ("ncounts", "ngenes"))
    for name in (keys.perturbation, *keys.covariates):
        obs[name] = pd.Categorical(obs[name].astype(str), categories=sorted(obs[name].astype(str).unique()))
    return obs.assign(ncounts=sums.cell_counts, ngenes=sums.cell_genes)


def gene_table(var: pd.DataFrame, genes: KeptGenes, sums: CountSums) -> pd.DataFrame:
    """The table of the genes kept, with why each was kept, its counts and its cells."""
    why = ("highly_variable", "differentially_expressed", "perturbed")
    made = {name: getattr(genes, name) for name in why}
    made |= {"sum_counts": sums.gene_counts[genes.columns], "n_cells": sums.gene_cells[genes.columns]}
    var = _set_aside(var.iloc[genes.columns], [*made, "mean_log1p"])
    var.index = genes.names
    return var.assign(**made)


def _set_aside(table: pd.DataFrame, names: Iterable[str]) -> pd.DataFrame:
    """Columns of these names renamed ``deposited_<name>``, or ``deposited_<name>_2`` and so on where that is taken."""
    taken, renamed = set(table.columns), {}
    for name in taken.intersection(names):
        numbered = (f"deposited_{name}_{number}" for number in itertools.count(2))
        new = next(new for new in itertools.chain([f"deposited_{name}"], numbered) if new not in taken)
        renamed[name] = new
    return table.rename(columns=renamed)


def deg_table(groups: CellGroups, keys: ObsKeys, genes: KeptGenes, tops: Tops) -> pd.DataFrame:
    """The top genes of each group: ``covariates…, condition, rank, gene, score``."""
    states = [groups.states[number] for number in groups.group_state[tops.group]]
    table = {name: [state[i] for state in states] for i, name in enumerate(keys.covariates)}
    table[keys.perturbation] = list(groups.group_condition[tops.group])
    names = genes.expressed[tops.gene].to_numpy(dtype=object)
    frame = pd.DataFrame(table | {"de_rank": tops.rank, "de_gene": names, "de_score": tops.score})
    return frame.astype(dict.fromkeys((*keys.covariates, keys.perturbation, "de_gene"), "category"))


def require_some(keep: np.ndarray, what: str) -> None:
    """Refuse a choice of no gene at all."""
    if not keep.any():
        raise InputError(what, where=f"{len(keep):,} genes", fix="Ask for less, or check the counts and gene names.")
