"""Score predictions against the truth."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from tqdm import tqdm

from perturbench_lamin.conditions import ObsKeys, is_bare
from perturbench_lamin.errors import InputError, are, some
from perturbench_lamin.evaluation import notes
from perturbench_lamin.evaluation.baselines import PREFIX, baseline_predictions
from perturbench_lamin.evaluation.cells import Source
from perturbench_lamin.evaluation.device import on_device
from perturbench_lamin.evaluation.effects import Effects
from perturbench_lamin.evaluation.facts import Subjects
from perturbench_lamin.evaluation.groups import Pair, State
from perturbench_lamin.evaluation.metric import Metric
from perturbench_lamin.evaluation.notes import Note
from perturbench_lamin.evaluation.prediction import Prediction, load_prediction
from perturbench_lamin.evaluation.profiles import Conventions, Profile, get_profile
from perturbench_lamin.evaluation.registry import get_metric
from perturbench_lamin.evaluation.result import WHOLE_STATE, Evaluation
from perturbench_lamin.evaluation.score import score_state
from perturbench_lamin.evaluation.truth import Truth, load_truth
from perturbench_lamin.evaluation.validate import require_keys


def evaluate(
    truth: Source,
    predictions: Mapping[str, Source],
    keys: ObsKeys,
    profile: str | Profile = "perturbench",
    *,
    training: Source | None = None,
    allow_missing: bool = False,
    baselines: bool = False,
    progress: bool = False,
    device: str | None = "cpu",
) -> Evaluation:
    """Score models' predictions of all perturbed conditions of the truth, covariate state by covariate state.

    Args:
        truth: observed cells (log1p expression), perturbed and control: an AnnData, or an h5ad file, which is read
            block by block.
        predictions: per model, predicted cells or one mean row per condition, in the same form. Genes are
            matched by name, conditions by their perturbations (``A+B`` is ``B+A``, and ``A+control`` is ``A``).
            Controls among them are not scored: they show on which scale the prediction is.
        keys: which obs columns hold conditions and covariates.
        profile: which metrics, by whose conventions.
        training: cells whose conditions make the perturbation mean of metrics that refer to it; without
            them it is the mean of the truth's conditions.
        allow_missing: leave conditions without a prediction out, with a note, instead of failing.
        baselines: also score what needs no model, see :mod:`~perturbench_lamin.evaluation.baselines`.
        progress: show a progress bar.
        device: where the heavy kernels run: ``cpu``, ``cuda``, or ``auto``, see
            :mod:`~perturbench_lamin.evaluation.device`; None for where they run already.

    Returns:
        The metrics, with notes on what was left out or looks wrong.

    Raises:
        InputError: a file, table or name is not what it must be; or there is no such device.
    """
    chosen = get_profile(profile)
    metrics = [get_metric(name) for name in chosen.metrics]
    needs = needs_of(metrics)
    require_keys(keys)
    given: object = predictions
    if not isinstance(given, Mapping):
        kind = type(given).__name__
        raise InputError(f"Not a mapping but {kind}", where="predictions", fix="Give name → prediction.")
    if not predictions:
        raise InputError("There is no prediction to evaluate", where="predictions", fix="Give at least one.")
    _require_names(predictions)
    with on_device(device) as used:
        true = load_truth(truth, keys, needs, chosen.conventions.n_components, training)
        found = [*_reference_notes(metrics, training), *notes.of_logarithms("", "true", true.moments)]
        found += [*notes.of_names("", true.remarks), *_training_notes(true)]
        tables: list[pd.DataFrame] = []
        effects = Effects.of(true)

        def add(predicted: Prediction) -> None:
            tables.append(score(true, predicted, keys, metrics, chosen.conventions))
            found.extend([*predicted.notes, *_undefined(predicted.model, tables[-1])])
            effects.add(predicted)

        for model in tqdm(sorted(predictions), desc="Evaluating", unit="model", disable=not progress):
            add(load_prediction(predictions[model], model, true, keys, needs, allow_missing=allow_missing))
        for baseline in baseline_predictions(true, keys) if baselines else ():
            add(baseline)
    return Evaluation(pd.concat(tables, ignore_index=True), tuple(found), chosen, keys, effects, used)


def needs_of(metrics: Sequence[Metric]) -> frozenset[str]:
    """What must be computed of the cells for some metrics."""
    return frozenset[str]().union(*(metric.needs for metric in metrics))


def score(
    truth: Truth, predicted: Prediction, keys: ObsKeys, metrics: Sequence[Metric], conventions: Conventions
) -> pd.DataFrame:
    """The long table of one model's metrics."""
    rows: dict[State, list[int]] = {}
    for row, (state, _) in enumerate(predicted.pairs):
        rows.setdefault(state, []).append(row)
    parts = []
    for state, members in rows.items():
        pairs = [predicted.pairs[row] for row in members]
        conditions = [condition for _, condition in pairs]
        tokens = [keys.tokens(condition) for condition in conditions]
        subjects = Subjects(conditions, tokens, truth.genes, truth.context(state))
        values = score_state(truth.side(pairs), predicted.side(members), subjects, metrics, conventions)
        parts.append(_long(predicted.model, pairs, keys, values, metrics))
    return pd.concat(parts, ignore_index=True)


def _long(
    model: str, pairs: Sequence[Pair], keys: ObsKeys, values: Mapping[str, np.ndarray], metrics: Sequence[Metric]
) -> pd.DataFrame:
    """One state's rows: conditions one after the other, then the metrics of the state as a whole."""
    of_state = [metric.name for metric in metrics if metric.scope == "state"]
    of_each = [metric.name for metric in metrics if metric.scope == "condition"]
    whole = [values[name][0] for name in of_state]
    each = np.stack([values[name] for name in of_each], axis=1).ravel() if of_each else np.empty(0)
    state = pairs[0][0]
    conditions = [condition for _, condition in pairs]
    columns: dict[str, Any] = {"model": model, **dict(zip(keys.covariates, state, strict=True))}
    columns[keys.perturbation] = [*np.repeat(conditions, len(of_each)), *([WHOLE_STATE] * len(of_state))]
    columns["metric"] = [*(of_each * len(pairs)), *of_state]
    columns["value"] = np.concatenate([each, whole])
    return pd.DataFrame(columns)


def _undefined(model: str, table: pd.DataFrame) -> Iterable[Note]:
    if model.startswith(PREFIX):  # one note: what a mean cannot have is no news
        missing = table.loc[table["value"].isna(), "metric"].unique()
        if len(missing):
            text = f"{are(len(missing), 'metric')} undefined for some or all conditions: {some(missing)}."
            yield Note("undefined", model, len(missing), text)
        return
    for metric, values in table.groupby("metric", sort=False)["value"]:
        yield from notes.of_undefined(model, str(metric), values.to_numpy())


def _reference_notes(metrics: Sequence[Metric], training: Source | None) -> Iterable[Note]:
    affected = [metric.name for metric in metrics if metric.reference == "perturbation mean"]
    if affected and training is None:
        text = f"No training cells: the perturbation mean of {some(affected)} is that of the truth's conditions."
        yield Note("reference", "", len(affected), text)


def _training_notes(truth: Truth) -> Iterable[Note]:
    return notes.of_training(truth.groups, truth.training.groups) if truth.training else ()


def _require_names(predictions: Mapping[str, Source]) -> None:
    for name in predictions:
        if not isinstance(name, str) or not name or not is_bare(name):
            raise InputError(
                f"{name!r} is no name of a model: no text, empty, or with spaces at its ends or invisible characters",
                where="predictions",
                fix="Give NAME=FILE on the command line, or another key in Python.",
            )
    if taken := sorted(name for name in predictions if name.startswith(PREFIX)):
        raise InputError(
            f"Names that begin with {PREFIX!r} are the baselines': {some(taken)}",
            where="predictions",
            fix="Rename the model.",
        )
