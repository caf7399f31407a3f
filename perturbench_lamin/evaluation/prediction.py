"""A prediction: one model's cells, or one mean row a condition, brought to the truth's pairs and genes."""

from __future__ import annotations

from collections.abc import Sequence, Set
from dataclasses import dataclass

import numpy as np

from perturbench_lamin.conditions import ObsKeys
from perturbench_lamin.evaluation import notes
from perturbench_lamin.evaluation.aggregate import Moments, aggregate
from perturbench_lamin.evaluation.aggregations import Side
from perturbench_lamin.evaluation.cells import Source, open_cells
from perturbench_lamin.evaluation.expression import DenseGroups
from perturbench_lamin.evaluation.groups import Groups, Pair, group_cells
from perturbench_lamin.evaluation.notes import Note
from perturbench_lamin.evaluation.pca import project_cells
from perturbench_lamin.evaluation.truth import Keep, Truth, rank_sum_tests, take_side
from perturbench_lamin.evaluation.validate import accept_prediction, gene_order, require_predicted
from perturbench_lamin.evaluation.wilcoxon import RankSums
from perturbench_lamin.storage.scale import ScaleWatch


@dataclass(frozen=True)
class Prediction:
    """Statistics of a model's predicted cells.

    Attributes:
        model: the model's name.
        pairs: the pairs to score, sorted: those of the truth that are predicted.
        moments: a row per pair, genes in the truth's order.
        cells: each pair's cells in the truth's PCA space; None unless asked for.
        notes: what was left out.
        expression: each pair's cells; None unless asked for.
        tests: rank-sum tests against the true controls; None unless asked for.
    """

    model: str
    pairs: tuple[Pair, ...]
    moments: Moments
    cells: list[np.ndarray] | None
    notes: tuple[Note, ...]
    expression: DenseGroups | None = None
    tests: RankSums | None = None

    def side(self, rows: Sequence[int]) -> Side:
        """What of some pairs is compared with the truth."""
        return take_side(rows, self.moments, self.cells, self.expression, self.tests)


def load_prediction(
    source: Source,
    model: str,
    truth: Truth,
    keys: ObsKeys,
    needs: Set[str],
    *,
    allow_missing: bool = False,
    keep: Keep | None = None,
) -> Prediction:
    """Read a model's prediction. Controls that come with it show its scale alone: the truth's count.

    Raises:
        InputError: other genes than the truth's, conditions of the truth without a prediction (unless
            ``allow_missing``), counts instead of log1p, NaN or infinite values.
    """
    with open_cells(source, model) as opened:
        cells, remarks = accept_prediction(opened, keys, truth.groups)
        order = gene_order(truth.genes, cells)
        groups, watch = group_cells(cells.obs, keys), ScaleWatch()
        groups = groups if keep is None else groups.only(keep(cells.obs, groups)).present()
        require_predicted(truth.groups, groups, keys, cells.where, allow_missing=allow_missing)
        pairs = tuple(sorted(set(truth.groups.perturbed) & set(groups.perturbed)))
        codes = _codes(groups, pairs)
        own, own_codes = _own_controls(groups, truth.groups, codes, len(pairs))
        summed = aggregate(cells, own_codes, len(pairs) + len(own), variances="variances" in needs, inspect=watch.see)
        watch.require_log1p(cells.where, counts_only=True)
        projected = None
        if truth.basis is not None and "cells" in needs:
            projected = project_cells(cells, truth.basis, order, codes, len(pairs))
        chosen = Groups(pairs, codes, groups.control)
        X = cells.in_memory() if needs & {"tests", "expression"} else None
        tests = rank_sum_tests(X, pairs, chosen.rows, truth.controls, order) if "tests" in needs else None
        expression = DenseGroups(X, chosen.rows, order) if "expression" in needs else None
    moments = summed.take(np.arange(len(pairs)), order)
    found = (
        *notes.of_names(model, remarks),
        *notes.of_groups(model, truth.groups, groups),
        *notes.of_means(model, pairs, moments, watch),
        *_scale_notes(model, truth, pairs, moments, own, summed.take(np.arange(len(pairs), len(summed.counts)), order)),
    )
    if "tests" in needs:
        found = (*found, *notes.of_negative(model, moments))
    return Prediction(model, pairs, moments, projected, found, expression, tests)


def _own_controls(groups: Groups, truth: Groups, codes: np.ndarray, first: int) -> tuple[tuple[Pair, ...], np.ndarray]:
    """The prediction's own controls of the truth's states, and the codes with theirs from ``first`` on."""
    known = set(truth.pairs)
    own = tuple(pair for pair in groups.pairs if pair[1] == groups.control and pair in known)
    position = {pair: first + number for number, pair in enumerate(own)}
    added = np.array([position.get(pair, -1) for pair in groups.pairs], dtype=np.int64)
    mine = np.where(groups.codes < 0, -1, added[groups.codes]) if len(added) else codes
    return own, np.maximum(codes, mine)


def _scale_notes(
    model: str,
    truth: Truth,
    pairs: tuple[Pair, ...],
    moments: Moments,
    own: tuple[Pair, ...],
    controls: Moments,
) -> tuple[Note, ...]:
    """By the prediction's own controls where it has them, else by what it predicts."""
    named, found = (own, controls) if own else (pairs, moments)
    true = truth.moments.means[[truth.groups.index[pair] for pair in named]]
    return tuple(notes.of_scale(model, found.means, true, by_controls=bool(own)))


def _codes(groups: Groups, pairs: tuple[Pair, ...]) -> np.ndarray:
    """Each cell's index into ``pairs``, −1 for controls and for conditions that are not scored."""
    position = {pair: code for code, pair in enumerate(pairs)}
    renamed = np.array([position.get(pair, -1) for pair in groups.pairs], dtype=np.int64)
    return np.where(groups.codes < 0, -1, renamed[groups.codes]) if len(pairs) else np.full(len(groups.codes), -1)
