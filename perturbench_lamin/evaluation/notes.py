"""Notes: what the reader of a table must know and a number cannot say, in plain language, with counts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from perturbench_lamin.conditions import Remark
from perturbench_lamin.errors import many, some
from perturbench_lamin.evaluation.aggregate import Moments
from perturbench_lamin.evaluation.aggregations import LOGFC_OFFSET
from perturbench_lamin.evaluation.groups import Groups, Pair, State
from perturbench_lamin.evaluation.validate import pair_name
from perturbench_lamin.storage.scale import ScaleWatch

SAME_SCALE = {True: (0.8, 1.25), False: (0.7, 1.4)}
"""Between these, the predicted mean expression over the true one is no sign of another scale: of controls, which
differ by sampling alone, and of conditions."""

COLLAPSED = 1e-6
"""Predictions of a covariate state that differ by less than this, relative to the highest mean, are the same."""


@dataclass(frozen=True)
class Note:
    """One remark on a result.

    Attributes:
        kind: a word to filter by: ``missing``, ``not scored``, ``controls``, ``collapse``, ``logfc``, ``scale``,
            ``fold change``, ``undefined``, ``reference``, ``baseline``, ``training``, or that of a
            :class:`~perturbench_lamin.conditions.Remark`.
        model: the model it is about; empty where it is about all.
        count: of what the message says.
        message: one sentence.
    """

    kind: str
    model: str
    count: int
    message: str

    def __str__(self) -> str:
        return f"{self.model}: {self.message}" if self.model else self.message


def of_names(model: str, remarks: Iterable[Remark]) -> Iterator[Note]:
    """What a reader must know of the names of conditions."""
    for remark in remarks:
        yield Note(remark.kind, model, remark.count, remark.message)


def of_training(groups: Groups, training: Groups) -> Iterator[Note]:
    """Which conditions of the truth are among the training cells: nothing is predicted there."""
    if seen := sorted(set(groups.perturbed) & set(training.perturbed)):
        names = some(map(pair_name, seen))
        text = f"{len(seen):,} of {len(groups.perturbed):,} conditions are in the training cells, too: {names}."
        yield Note("training", "", len(seen), text)


def of_scale(model: str, predicted: np.ndarray, true: np.ndarray, *, by_controls: bool) -> Iterator[Note]:
    """Whether predicted expression is on another scale than the true one.

    Args:
        model: its name.
        predicted: means, groups × genes.
        true: those of the same groups.
        by_controls: whether these are controls.
    """
    whose = "control cells" if by_controls else "conditions"
    low, high = SAME_SCALE[by_controls]
    ratio = predicted.mean() / true.mean() if true.mean() > 0 else 1.0
    if not low < ratio < high:
        text = (
            f"The mean expression of its {whose} is {ratio:.3g} times that of the truth's: another scale? (log2 in "
            "place of the natural logarithm gives 1.44, log10 0.434; counts or another sum per cell anything.)"
        )
        yield Note("scale", model, 1, text)


def of_groups(model: str, truth: Groups, predicted: Groups) -> Iterator[Note]:
    """Which conditions are not scored."""
    known, given = set(truth.perturbed), set(predicted.perturbed)
    if missing := sorted(known - given):
        names = some(map(pair_name, missing))
        text = f"{len(missing):,} of {len(known):,} conditions have no prediction and are not scored: {names}."
        yield Note("missing", model, len(missing), text)
    if extra := sorted(given - known):
        names = some(map(pair_name, extra))
        text = f"{len(extra):,} predicted conditions are not in the truth and are not scored: {names}."
        yield Note("not scored", model, len(extra), text)
    n_controls = sum(
        int(size) for size, pair in zip(predicted.sizes, predicted.pairs, strict=True) if pair[1] == predicted.control
    )
    if n_controls:
        text = f"{n_controls:,} control cells of the prediction are ignored: the truth's controls count."
        yield Note("controls", model, n_controls, text)


def of_means(model: str, pairs: Sequence[Pair], moments: Moments, watch: ScaleWatch) -> Iterator[Note]:
    """What looks wrong with predicted means."""
    if collapsed := _collapsed_states(pairs, moments.means):
        names = some("/".join(state) or "all cells" for state in collapsed)
        text = f"Collapsed: one prediction for all conditions in {many(len(collapsed), 'covariate state')}: {names}."
        yield Note("collapse", model, len(collapsed), text)
    yield from of_logarithms(model, "predicted", moments)
    if watch.is_unlogged:
        text = f"The highest predicted value is {watch.highest:,.6g}: is the prediction log1p expression?"
        yield Note("scale", model, 1, text)


def of_logarithms(model: str, whose: str, moments: Moments) -> Iterator[Note]:
    """How many means have no logarithm."""
    if n_negative := int((moments.means <= -LOGFC_OFFSET).sum()):
        share = f"{n_negative:,} of {moments.means.size:,} {whose} means"
        text = f"{share} are −0.1 or less and have no logarithm: they count as no change in logfc."
        yield Note("logfc", model, n_negative, text)


def of_negative(model: str, moments: Moments) -> Iterator[Note]:
    """How many means have no fold change."""
    if n_negative := int((moments.means < 0).sum()):
        share = f"{n_negative:,} of {moments.means.size:,} predicted means"
        text = f"{share} are negative and have no fold change: they count as no change in differential expression."
        yield Note("fold change", model, n_negative, text)


def of_undefined(model: str, metric: str, values: np.ndarray) -> Iterator[Note]:
    """How many values of a metric are undefined."""
    if n_nan := int(np.isnan(values).sum()):
        text = f"{metric} is undefined for {n_nan:,} of {len(values):,} conditions and left out of its means."
        yield Note("undefined", model, n_nan, text)


def _collapsed_states(pairs: Sequence[Pair], means: np.ndarray) -> list[State]:
    rows: dict[State, list[int]] = {}
    for row, (state, _) in enumerate(pairs):
        rows.setdefault(state, []).append(row)
    return [state for state, members in rows.items() if len(members) > 1 and _is_one(means[members])]


def _is_one(rows: np.ndarray) -> bool:
    return bool(np.ptp(rows, axis=0).max(initial=0.0) <= COLLAPSED * np.abs(rows).max(initial=0.0))
