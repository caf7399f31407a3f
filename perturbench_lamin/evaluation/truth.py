"""The truth: observed cells, their controls, and what is derived of them once for all models."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from perturbench_lamin.conditions import ObsKeys, Remark
from perturbench_lamin.errors import InputError, some
from perturbench_lamin.evaluation.aggregate import Moments, aggregate
from perturbench_lamin.evaluation.aggregations import Context, Side
from perturbench_lamin.evaluation.cells import Source, open_cells
from perturbench_lamin.evaluation.expression import DenseGroups
from perturbench_lamin.evaluation.groups import Groups, Pair, State, group_cells
from perturbench_lamin.evaluation.observed import Observed
from perturbench_lamin.evaluation.pca import Basis, fit_basis, project_cells
from perturbench_lamin.evaluation.validate import accept_training, accept_truth, gene_order
from perturbench_lamin.evaluation.wilcoxon import RankSums, SortedControls, rank_sums, sort_controls
from perturbench_lamin.storage.scale import ScaleWatch

Keep = Callable[[pd.DataFrame, Groups], np.ndarray]
"""``keep(obs, groups)`` → whether to use each cell."""


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
        singles: per covariate state, the mean of each perturbation that was observed alone.
        expression: each pair's cells; None unless asked for.
        tests: rank-sum tests of each pair, controls excepted; None unless asked for.
        controls: the control cells of each state, sorted for those tests.
        training: statistics of the training cells' pairs; None where there are none.
        remarks: on the names of the true cells and of the training cells.
    """

    genes: pd.Index
    groups: Groups
    moments: Moments
    basis: Basis | None
    cells: list[np.ndarray] | None
    perturbation_means: dict[State, np.ndarray]
    singles: dict[State, dict[str, np.ndarray]]
    expression: DenseGroups | None = None
    tests: RankSums | None = None
    controls: dict[State, SortedControls] = field(default_factory=dict)
    training: Observed | None = None
    remarks: tuple[Remark, ...] = ()

    def context(self, state: State) -> Context:
        """What predictions in a covariate state are held against."""
        control = self.groups.index[state, self.groups.control]
        rows = [row for row, pair in enumerate(self.groups.pairs) if pair[0] == state and row != control]
        return Context(
            self.moments.take([control]),
            self.perturbation_means[state],
            self.basis,
            None if self.cells is None else self.cells[control],
            None if self.expression is None else self.expression[control],
            tuple(self.groups.pairs[row][1] for row in rows),
            self.moments.take(rows),
            self.singles.get(state, {}),
        )

    def side(self, pairs: Sequence[Pair]) -> Side:
        """What of some pairs is compared with their prediction."""
        rows = [self.groups.index[pair] for pair in pairs]
        return take_side(rows, self.moments, self.cells, self.expression, self.tests)


def take_side(
    rows: Sequence[int],
    moments: Moments,
    cells: Sequence[np.ndarray] | None,
    expression: DenseGroups | None,
    tests: RankSums | None,
) -> Side:
    """Some rows of everything."""
    return Side(
        moments.take(list(rows)),
        None if cells is None else [cells[row] for row in rows],
        None if expression is None else expression.take(rows),
        None if tests is None else tests.take(rows),
    )


def load_truth(
    source: Source,
    keys: ObsKeys,
    needs: Set[str],
    n_components: int,
    training: Source | None = None,
    keep: Keep | None = None,
) -> Truth:
    """Read the truth.

    Args:
        source: log1p expression of perturbed cells and of controls of every covariate state.
        keys: the obs columns.
        needs: of ``variances``, ``basis``, ``cells``, ``expression`` and ``tests``.
        n_components: of the PCA.
        training: cells whose conditions make the perturbation mean, and whose singles the additive expectation of a
            pair; None for the truth's own.
        keep: chooses the cells to use (the principal components are those of all); all where None.

    Raises:
        InputError: the cells are not what they must be; see :mod:`~perturbench_lamin.evaluation.validate`.
    """
    with open_cells(source, "truth") as opened:
        cells, remarks = accept_truth(opened, keys)
        groups, watch = group_cells(cells.obs, keys), ScaleWatch()
        groups = groups if keep is None else groups.only(keep(cells.obs, groups))
        order = np.argsort(cells.genes.to_numpy(dtype=str), kind="stable")
        n, with_variances = len(groups.pairs), "variances" in needs
        moments = aggregate(cells, groups.codes, n, variances=with_variances, inspect=watch.see)
        watch.require_log1p(cells.where)
        moments = moments.take(np.arange(n), order)
        basis = fit_basis(cells, order, n_components) if "basis" in needs else None
        projected = project_cells(cells, basis, order, groups.codes, n) if basis and "cells" in needs else None
        X = cells.in_memory() if needs & {"tests", "expression"} else None
        controls = _sorted_controls(X, groups, order) if "tests" in needs else {}
        tests = rank_sum_tests(X, groups.pairs, _perturbed_rows(groups), controls, order) if controls else None
        expression = DenseGroups(X, groups.rows, order) if "expression" in needs else None
        genes = cells.genes[order]
    own = Observed(groups, moments)
    seen, further = (own, ()) if training is None else _read_training(training, keys, genes, own)
    return Truth(
        genes, groups, moments, basis, projected, seen.means(), seen.singles(keys), expression, tests, controls,
        None if training is None else seen, (*remarks, *further),
    )  # fmt: skip


def rank_sum_tests(
    X: Any,
    pairs: Sequence[Pair],
    rows: Sequence[np.ndarray],
    controls: Mapping[State, SortedControls],
    order: np.ndarray,
    copies: np.ndarray | None = None,
) -> RankSums:
    """Rank-sum tests of each pair's cells against the true controls of its state.

    NaN for a pair of one cell: a mean row is no sample.
    """
    found = RankSums.empty(len(pairs), len(order))
    for state, control in controls.items():
        here = [
            row
            for row, pair in enumerate(pairs)
            if pair[0] == state and len(rows[row]) * (1 if copies is None else copies[row]) > 1
        ]
        own = None if copies is None else copies[here]
        tests = rank_sums(X, [rows[row] for row in here], control, order, own)
        found.p[here], found.z[here] = tests.p, tests.z
    return found


def _perturbed_rows(groups: Groups) -> list[np.ndarray]:
    """The cells of each pair; none of the controls, which need no test against themselves."""
    own = zip(groups.pairs, groups.rows, strict=True)
    return [rows[:0] if pair[1] == groups.control else rows for pair, rows in own]


def _sorted_controls(X: Any, groups: Groups, order: np.ndarray) -> dict[State, SortedControls]:
    rows = groups.rows
    return {
        pair[0]: sort_controls(X[rows[code]], order)
        for code, pair in enumerate(groups.pairs)
        if pair[1] == groups.control
    }


def _read_training(
    source: Source, keys: ObsKeys, genes: pd.Index, true: Observed
) -> tuple[Observed, tuple[Remark, ...]]:
    with open_cells(source, "training") as opened:
        cells, remarks = accept_training(opened, keys, true.groups)
        order = gene_order(genes, cells)
        groups, watch = group_cells(cells.obs, keys), ScaleWatch()
        moments = aggregate(cells, groups.codes, len(groups.pairs), inspect=watch.see)
        watch.require_log1p(cells.where)
        seen = Observed(groups, moments.take(np.arange(len(groups.pairs)), order))
        if missing := sorted(true.states - seen.states):
            raise InputError(
                f"No perturbed training cells in {len(missing):,} covariate states of the truth",
                where=cells.where,
                fix=f"Add them, or leave the training cells out: {some('/'.join(state) for state in missing)}.",
            )
    return seen, remarks
