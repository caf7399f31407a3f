"""Score predictions against the truth."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from tqdm import tqdm

from perturbench_lamin.conditions import ObsKeys
from perturbench_lamin.errors import InputError, some
from perturbench_lamin.evaluation import notes
from perturbench_lamin.evaluation.aggregations import AGGREGATIONS, Context, Side
from perturbench_lamin.evaluation.cells import Source
from perturbench_lamin.evaluation.groups import Pair, State
from perturbench_lamin.evaluation.metric import Metric
from perturbench_lamin.evaluation.notes import Note
from perturbench_lamin.evaluation.prediction import Prediction, load_prediction
from perturbench_lamin.evaluation.profiles import Conventions, Profile, get_profile
from perturbench_lamin.evaluation.ranks import rank_conditions
from perturbench_lamin.evaluation.registry import get_metric
from perturbench_lamin.evaluation.result import Evaluation
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
    progress: bool = False,
) -> Evaluation:
    """Score models' predictions of all perturbed conditions of the truth, covariate state by covariate state.

    Args:
        truth: observed cells (log1p expression), perturbed and control: an AnnData or an h5ad file.
        predictions: per model, predicted cells or one mean row per condition, in the same form. Genes are
            matched by name. Controls among them are ignored.
        keys: which obs columns hold conditions and covariates.
        profile: which metrics, by whose conventions.
        training: cells whose conditions make the perturbation mean of metrics that refer to it; without
            them it is the mean of the truth's conditions.
        allow_missing: leave conditions without a prediction out, with a note, instead of failing.
        progress: show a progress bar.

    Returns:
        The metrics, with notes on what was left out or looks wrong.

    Raises:
        InputError: a file, table or name is not what it must be.
    """
    chosen = get_profile(profile)
    metrics = [get_metric(name) for name in chosen.metrics]
    needs = frozenset[str]().union(*(AGGREGATIONS[metric.aggregation].needs for metric in metrics))
    require_keys(keys)
    if not predictions:
        raise InputError("There is no prediction to evaluate", where="predictions", fix="Give at least one.")
    true = load_truth(truth, keys, needs, chosen.conventions.n_components, training)
    tables: list[pd.DataFrame] = []
    found = [*_reference_notes(metrics, training), *notes.of_logarithms("", "true", true.moments)]
    for model in tqdm(sorted(predictions), desc="Evaluating", unit="model", disable=not progress):
        predicted = load_prediction(predictions[model], model, true, keys, needs, allow_missing=allow_missing)
        table = score(true, predicted, keys, metrics, chosen.conventions)
        found += [*predicted.notes, *_undefined(model, table)]
        tables.append(table)
    return Evaluation(pd.concat(tables, ignore_index=True), tuple(found), chosen, keys)


def evaluate_files(
    truth: str | Path,
    predictions: Sequence[str | Path] | Mapping[str, str | Path],
    keys: ObsKeys,
    profile: str | Profile = "perturbench",
    *,
    out: str | Path | None = None,
    training: str | Path | None = None,
    allow_missing: bool = False,
    progress: bool = False,
) -> Evaluation:
    """:func:`evaluate` on h5ad files, read block by block; models are named by their files unless a mapping is given.

    Args:
        truth: h5ad file.
        predictions: h5ad files, or a mapping from model to file.
        keys: which obs columns hold conditions and covariates.
        profile: which metrics, by whose conventions.
        out: where to write the table, ``.csv`` or ``.parquet``; nowhere where None.
        training: see :func:`evaluate`.
        allow_missing: see :func:`evaluate`.
        progress: see :func:`evaluate`.

    Raises:
        InputError: as :func:`evaluate`; or two files have the same name.
    """
    named = predictions if isinstance(predictions, Mapping) else _named(predictions)
    result = evaluate(truth, named, keys, profile, training=training, allow_missing=allow_missing, progress=progress)
    if out is not None:
        result.write(out)
    return result


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
        true, prediction = _sides(truth, predicted, pairs, members)
        values = score_state(true, prediction, truth.context(state), metrics, conventions)
        parts.append(_long(predicted.model, pairs, keys, values))
    return pd.concat(parts, ignore_index=True)


def score_state(
    truth: Side, prediction: Side, context: Context, metrics: Sequence[Metric], conventions: Conventions
) -> dict[str, np.ndarray]:
    """Each metric of the conditions of one covariate state: (conditions,) each."""
    compared: dict[str, tuple[Any, Any]] = {}
    for name in dict.fromkeys(metric.aggregation for metric in metrics):
        function = AGGREGATIONS[name].function
        compared[name] = (function(truth, context, conventions), function(prediction, context, conventions))
    return {metric.name: _apply(metric, *compared[metric.aggregation], conventions) for metric in metrics}


def _apply(metric: Metric, truth: Any, prediction: Any, conventions: Conventions) -> np.ndarray:
    options = {name: getattr(conventions, name) for name in metric.options}
    if metric.base is None:
        return metric.function(truth, prediction, **options)
    scores = metric.base.all_pairs(truth, prediction, **options)
    return rank_conditions(scores, higher_is_better=metric.base.higher_is_better, ties=conventions.ties)


def _sides(truth: Truth, predicted: Prediction, pairs: Sequence[Pair], members: list[int]) -> tuple[Side, Side]:
    index = truth.groups.index
    true_rows = [index[pair] for pair in pairs]
    return (
        Side(truth.moments.take(true_rows), _take(truth.cells, true_rows)),
        Side(predicted.moments.take(members), _take(predicted.cells, members)),
    )


def _take(cells: list[np.ndarray] | None, rows: Sequence[int]) -> list[np.ndarray] | None:
    return None if cells is None else [cells[row] for row in rows]


def _long(model: str, pairs: Sequence[Pair], keys: ObsKeys, values: Mapping[str, np.ndarray]) -> pd.DataFrame:
    n = len(values)
    columns: dict[str, Any] = {"model": model}
    for position, name in enumerate(keys.covariates):
        columns[name] = np.repeat([state[position] for state, _ in pairs], n)
    columns[keys.perturbation] = np.repeat([condition for _, condition in pairs], n)
    columns["metric"] = np.tile(list(values), len(pairs))
    columns["value"] = np.stack(list(values.values()), axis=1).ravel()
    return pd.DataFrame(columns)


def _undefined(model: str, table: pd.DataFrame) -> Iterable[Note]:
    for metric, values in table.groupby("metric", sort=False)["value"]:
        yield from notes.of_undefined(model, str(metric), values.to_numpy())


def _reference_notes(metrics: Sequence[Metric], training: Source | None) -> Iterable[Note]:
    affected = [metric.name for metric in metrics if metric.reference == "perturbation mean"]
    if affected and training is None:
        text = f"No training cells: the perturbation mean of {some(affected)} is that of the truth's conditions."
        yield Note("reference", "", len(affected), text)


def _named(paths: Sequence[str | Path]) -> dict[str, str | Path]:
    named: dict[str, str | Path] = {}
    for path in paths:
        name = Path(path).name.removesuffix(".h5ad")
        if name in named:
            raise InputError(f"Two predictions are named {name!r}", where=path, fix="Rename a file, or pass a mapping.")
        named[name] = path
    return named
