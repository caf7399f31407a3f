"""The truth: observed cells, their controls, and what is derived of them once for all models."""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass

import numpy as np
import pandas as pd

from perturbench_lamin.conditions import ObsKeys, require_obs
from perturbench_lamin.errors import InputError, some
from perturbench_lamin.evaluation.aggregate import Moments, aggregate
from perturbench_lamin.evaluation.aggregations import Context
from perturbench_lamin.evaluation.cells import Source, open_cells
from perturbench_lamin.evaluation.groups import Groups, State, group_cells
from perturbench_lamin.evaluation.pca import Basis, fit_basis, project_cells
from perturbench_lamin.evaluation.validate import ScaleWatch, gene_order, require_truth


@dataclass(frozen=True)
class Truth:
    """Statistics of the true cells; genes sorted by name, so that the order in the files does not matter.

    Attributes:
        genes: sorted.
        groups: the pairs (covariate state, condition), controls among them.
        moments: a row per pair.
        basis: PCA of all true cells; None unless asked for.
        cells: each pair's cells in that space; None unless asked for.
        perturbation_means: per covariate state, the mean of the conditions' means.
    """

    genes: pd.Index
    groups: Groups
    moments: Moments
    basis: Basis | None
    cells: list[np.ndarray] | None
    perturbation_means: dict[State, np.ndarray]

    def context(self, state: State) -> Context:
        """What predictions in a covariate state are held against."""
        control = self.moments.take([self.groups.index[state, self.groups.control]])
        return Context(control, self.perturbation_means[state], self.basis)


def load_truth(
    source: Source, keys: ObsKeys, needs: Set[str], n_components: int, training: Source | None = None
) -> Truth:
    """Read the truth.

    Args:
        source: log1p expression of perturbed cells and of controls of every covariate state.
        keys: the obs columns.
        needs: of ``variances``, ``basis`` and ``cells``.
        n_components: of the PCA.
        training: cells whose conditions make the perturbation mean; None for the truth's own conditions.

    Raises:
        InputError: the cells are not what they must be; see :mod:`~perturbench_lamin.evaluation.validate`.
    """
    with open_cells(source, "truth") as cells:
        require_truth(cells, keys)
        groups, watch = group_cells(cells.obs, keys), ScaleWatch()
        order = np.argsort(cells.genes.to_numpy(dtype=str), kind="stable")
        n, with_variances = len(groups.pairs), "variances" in needs
        moments = aggregate(cells, groups.codes, n, variances=with_variances, inspect=watch.see)
        watch.require_log1p(cells.where)
        moments = moments.take(np.arange(n), order)
        basis = fit_basis(cells, order, n_components) if "basis" in needs else None
        projected = project_cells(cells, basis, order, groups.codes, n) if basis and "cells" in needs else None
        genes = cells.genes[order]
    means = _perturbation_means(groups, moments)
    if training is not None:
        means = _training_means(training, keys, genes, set(means))
    return Truth(genes, groups, moments, basis, projected, means)


def _perturbation_means(groups: Groups, moments: Moments) -> dict[State, np.ndarray]:
    """Per covariate state, the mean over its perturbed conditions of their means: conditions weigh the same."""
    rows: dict[State, list[int]] = {}
    for pair in groups.perturbed:
        rows.setdefault(pair[0], []).append(groups.index[pair])
    return {state: moments.means[members].mean(axis=0) for state, members in rows.items()}


def _training_means(source: Source, keys: ObsKeys, genes: pd.Index, states: set[State]) -> dict[State, np.ndarray]:
    with open_cells(source, "training") as cells:
        require_obs(cells.obs, keys, where=cells.where, controls=False)
        order = gene_order(genes, cells)
        groups, watch = group_cells(cells.obs, keys), ScaleWatch()
        moments = aggregate(cells, groups.codes, len(groups.pairs), inspect=watch.see)
        watch.require_log1p(cells.where)
        means = _perturbation_means(groups, moments.take(np.arange(len(groups.pairs)), order))
        if missing := sorted(states - set(means)):
            raise InputError(
                f"No perturbed training cells in {len(missing):,} covariate states of the truth",
                where=cells.where,
                fix=f"Add them, or leave the training cells out: {some('/'.join(state) for state in missing)}.",
            )
    return means
