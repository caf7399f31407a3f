"""Baselines that need no model, scored beside every submission: no change, the mean, the sum, a linear model.

Each is a mean row per condition, made of the training cells and the true controls. Where a metric looks at cells, a
row counts as often as the condition has true cells: a group without variance.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from perturbench_lamin.conditions import ObsKeys
from perturbench_lamin.evaluation.aggregate import Moments
from perturbench_lamin.evaluation.expression import DenseGroups
from perturbench_lamin.evaluation.groups import Pair, State
from perturbench_lamin.evaluation.linear_baseline import token_changes
from perturbench_lamin.evaluation.notes import Note
from perturbench_lamin.evaluation.observed import Observed
from perturbench_lamin.evaluation.prediction import Prediction
from perturbench_lamin.evaluation.truth import Truth, rank_sum_tests

PREFIX = "baseline: "
"""What the names of baselines begin with, so that no model is taken for one."""


@dataclass(frozen=True)
class Rows:
    """A baseline's predictions.

    Attributes:
        means: pairs × genes.
        unknown: how many conditions it has nothing to say on and predicts a default for.
        default: that default, in words.
    """

    means: np.ndarray
    unknown: int = 0
    default: str = ""


Baseline = Callable[[Truth, ObsKeys, tuple[Pair, ...]], "Rows | None"]


def control_mean(truth: Truth, keys: ObsKeys, pairs: tuple[Pair, ...]) -> Rows:
    """No change: μ_c."""
    controls = Observed(truth.groups, truth.moments).controls()
    return Rows(np.array([controls[state] for state, _ in pairs]))


def perturbation_mean(truth: Truth, keys: ObsKeys, pairs: tuple[Pair, ...]) -> Rows:
    """The mean of all training conditions of the state, μ̄ (of the truth's own conditions without training cells)."""
    return Rows(np.array([truth.perturbation_means[state] for state, _ in pairs]))


def additive(truth: Truth, keys: ObsKeys, pairs: tuple[Pair, ...]) -> Rows | None:
    """μ_c plus the sum of the changes that the condition's perturbations make alone (Ahlmann-Eltze et al. 2025).

    A change that the state lacks is the mean over the states that have it. Without training cells, only pairs can be
    predicted, from the truth's singles: a single's own truth would be no baseline.
    """
    seen = truth.training or Observed(truth.groups, truth.moments)
    controls = {**Observed(truth.groups, truth.moments).controls(), **seen.controls()}
    changes = {
        state: {token: row - controls[state] for token, row in rows.items()}
        for state, rows in truth.singles.items()
        if state in controls
    }
    usable = None if truth.training is not None else 2
    return _summed(truth, keys, pairs, changes, usable)


def linear(truth: Truth, keys: ObsKeys, pairs: tuple[Pair, ...]) -> Rows | None:
    """The linear model of Ahlmann-Eltze et al. 2025, see :mod:`~perturbench_lamin.evaluation.linear_baseline`.

    None without training cells, or where the genes of too few perturbations are measured.
    """
    if truth.training is None:
        return None
    wanted = {token for _, condition in pairs for token in keys.tokens(condition)}
    found = token_changes(truth.training, truth.genes, keys, sorted(wanted))
    if found is None:
        return None
    base, slopes = found
    own = control_mean(truth, keys, pairs).means
    unknown = 0
    for row, (_, condition) in enumerate(pairs):
        known = [slopes[token] for token in keys.tokens(condition) if token in slopes]
        own[row] += base + (np.sum(known, axis=0) if known else 0.0)
        unknown += not known
    return Rows(own, unknown, "the mean change of training")


BASELINES: Mapping[str, Baseline] = {
    "control mean": control_mean,
    "perturbation mean": perturbation_mean,
    "additive": additive,
    "linear": linear,
}


def baseline_predictions(truth: Truth, keys: ObsKeys) -> list[Prediction]:
    """All baselines that can be made, as predictions of all conditions of the truth."""
    pairs = truth.groups.perturbed
    found = []
    for name, baseline in BASELINES.items():
        rows = baseline(truth, keys, pairs)
        if rows is not None:
            found.append(mean_prediction(PREFIX + name, truth, pairs, rows.means, _notes(PREFIX + name, rows, pairs)))
    return found


def mean_prediction(
    model: str, truth: Truth, pairs: tuple[Pair, ...], means: np.ndarray, notes: tuple[Note, ...] = ()
) -> Prediction:
    """A prediction of mean rows, each counted as often as the condition has true cells."""
    sizes, index = truth.groups.sizes, truth.groups.index
    copies = np.array([sizes[index[pair]] for pair in pairs])
    genes = np.arange(means.shape[1])
    rows = [np.array([row]) for row in range(len(pairs))]
    tests = rank_sum_tests(means, pairs, rows, truth.controls, genes, copies) if truth.controls else None
    return Prediction(
        model,
        pairs,
        Moments(copies, means, np.zeros(means.shape)),
        None if truth.basis is None else [truth.basis.project(means[row]) for row in rows],
        notes,
        None if truth.expression is None else DenseGroups(means, rows, genes),
        tests,
    )


def _summed(
    truth: Truth,
    keys: ObsKeys,
    pairs: tuple[Pair, ...],
    changes: Mapping[State, Mapping[str, np.ndarray]],
    n_tokens: int | None,
) -> Rows | None:
    means, unknown = control_mean(truth, keys, pairs).means, 0
    anywhere: dict[str, list[np.ndarray]] = {}
    for rows in changes.values():
        for token, row in rows.items():
            anywhere.setdefault(token, []).append(row)
    for position, (state, condition) in enumerate(pairs):
        tokens = keys.tokens(condition)
        usable = n_tokens is None or len(tokens) >= n_tokens
        for token in tokens if usable else ():
            if token in anywhere:
                own = changes.get(state, {})
                means[position] += own[token] if token in own else np.mean(anywhere[token], axis=0)
        unknown += not usable or not all(token in anywhere for token in tokens)
    return None if unknown == len(pairs) else Rows(means, unknown, "no change of the perturbations it lacks")


def _notes(model: str, rows: Rows, pairs: tuple[Pair, ...]) -> tuple[Note, ...]:
    if not rows.unknown:
        return ()
    text = f"{rows.unknown:,} of {len(pairs):,} conditions have unknown perturbations; it predicts {rows.default}."
    return (Note("baseline", model, rows.unknown, text),)
