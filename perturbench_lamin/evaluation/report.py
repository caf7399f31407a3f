"""The report of an evaluation: one self-contained HTML page."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import pandas as pd

from perturbench_lamin.errors import InputError, many, some
from perturbench_lamin.evaluation import report_figures as figures
from perturbench_lamin.evaluation import report_page as html
from perturbench_lamin.evaluation.baselines import PREFIX
from perturbench_lamin.evaluation.bootstrap import DEFAULT, Resampling
from perturbench_lamin.evaluation.calibration import Calibration
from perturbench_lamin.evaluation.distributions import metric_distributions
from perturbench_lamin.evaluation.groups import Pair
from perturbench_lamin.evaluation.notes import Note
from perturbench_lamin.evaluation.registry import get_metric
from perturbench_lamin.evaluation.report_tables import definitions_section, differences_section, scores_section
from perturbench_lamin.evaluation.report_verdict import verdict
from perturbench_lamin.evaluation.result import WHOLE_STATE, Evaluation
from perturbench_lamin.files import write_text

WARNINGS = ("collapse", "scale", "missing", "logfc")
"""Kinds of notes that put results in doubt; the others are told as notes."""

DISTRIBUTIONS = 12
"""Metrics whose distribution is drawn, the profile's first; all are in the metrics table."""

EXTREMES = 3
"""Best, and worst, conditions that are drawn for each model."""

EFFECT_METRICS = ("pearson_delta_control", "cosine_logfc")
"""By which conditions are called best and worst: the first of them that the profile has, else its first metric."""


def write_report(
    result: Evaluation,
    path: str | Path,
    *,
    calibration: Calibration | None = None,
    title: str = "Evaluation",
    resampling: Resampling = DEFAULT,
) -> Path:
    """Write a report: verdict, warnings, table, scale, calibration, distributions, rank curves, effects, definitions.

    Args:
        result: of :func:`~perturbench_lamin.evaluation.evaluate.evaluate`, best with ``baselines=True``.
        path: of the HTML file, written atomically. The page needs no network and no script; the same results give
            the same bytes.
        calibration: of :func:`~perturbench_lamin.evaluation.calibration.calibrate` with the same truth and profile.
        title: of the page.
        resampling: of the intervals.

    Raises:
        InputError: the calibration lacks a metric of the evaluation.
    """
    if calibration is not None:
        _require_calibrated(result, calibration)
    return write_text(path, html.page(title, _sections(result, calibration, resampling)))


def _require_calibrated(result: Evaluation, calibration: Calibration) -> None:
    lacking = sorted(set(result.table["metric"]) - set(calibration.table["metric"]))
    if lacking:
        raise InputError(
            f"The calibration lacks {some(lacking)}", where="report", fix="Calibrate with the evaluation's profile."
        )


def _sections(result: Evaluation, calibration: Calibration | None, resampling: Resampling) -> Iterator[str]:
    controls = None if calibration is None else calibration.summary()
    yield _introduction(result)
    yield from _unless_empty("In short", map(html.paragraph, verdict(result, controls, resampling)))
    yield from _unless_empty("Read this first", map(html.warning, _warnings(result, controls)))
    yield scores_section(result, controls, resampling)
    if controls is not None:
        yield _calibration(result, controls)
    yield differences_section(result, resampling)
    yield from _distributions(result)
    yield from _ranks(result)
    yield from _effects(result)
    others = [str(note) for note in result.notes if note.kind not in WARNINGS]
    yield from _unless_empty("Notes", map(html.paragraph, others))
    yield definitions_section(result)


def _unless_empty(title: str, parts: Iterable[str]) -> Iterator[str]:
    """A section, where there is anything in it."""
    found = list(parts)
    if found:
        yield html.section(title, *found)


def _introduction(result: Evaluation) -> str:
    columns = [*result.keys.covariates, result.keys.perturbation]
    pairs = result.table.loc[result.table[result.keys.perturbation] != WHOLE_STATE, columns].drop_duplicates()
    states = len(pairs[list(result.keys.covariates)].drop_duplicates()) if result.keys.covariates else 1
    models = list(dict.fromkeys(result.table["model"]))
    own = [model for model in models if not model.startswith(PREFIX)]
    return html.paragraph(
        f"{many(len(own), 'model')} and {many(len(models) - len(own), 'baseline')}, {many(len(pairs), 'condition')} in "
        f"{many(states, 'covariate state')}. Profile “{result.profile.name}”: {result.profile.description} "
        f"Changes are from the true controls. Computed on: {result.device}."
    )


def _warnings(result: Evaluation, controls: pd.DataFrame | None) -> list[str]:
    found = [_plain(note) for note in result.notes if note.kind in WARNINGS and not note.model.startswith(PREFIX)]
    if controls is not None:
        found += _unfit(controls)
    if controls is None:
        found.append("There is no calibration: whether these metrics can tell models apart here is not known.")
    if not any(str(model).startswith(PREFIX) for model in result.table["model"]):
        found.append("There are no baselines: whether these models beat a mean is not known.")
    return found


def _unfit(controls: pd.DataFrame) -> Iterator[str]:
    """Which metrics cannot rank, and why."""
    undefined = controls["fraction"].isna()
    poor = list(controls.loc[~undefined & ~controls["can_rank"], "metric"])
    if poor:
        yield (
            f"{many(len(poor), 'metric')} cannot tell a good model from the mean on this dataset, because another half "
            f"of the same experiment scores hardly better than the mean: {some(poor, 20)}. Do not rank models by that."
        )
    if undefined.any():
        names = some(controls.loc[undefined, "metric"], 20)
        yield f"Whether these can tell models apart is not known, since a control is undefined in them: {names}."


def _plain(note: Note) -> str:
    if note.kind == "collapse":
        return f"{note.model} predicts the same for every perturbation: it has learned nothing of them. {note.message}"
    return str(note)


def scale(result: Evaluation, controls: pd.DataFrame) -> pd.DataFrame:
    """Each model's place between the negative (0) and the positive control (1).

    Args:
        result: the evaluation.
        controls: summary of a calibration with the same truth and profile.

    Returns:
        ``model``, ``metric``, ``position``; NaN where the controls score the same, or the metric has none.
    """
    known = controls[["metric", "positive", "negative"]]
    summary = result.summary().merge(known, on="metric", how="left", validate="many_to_one")
    span = summary["positive"] - summary["negative"]
    position = (summary["mean"] - summary["negative"]) / span.where(span.abs() > 0)
    return summary[["model", "metric"]].assign(position=position)


def _calibration(result: Evaluation, controls: pd.DataFrame) -> str:
    text = (
        "The positive control is a technical duplicate: one half of each condition's cells, scored against the other. "
        "The negative control is the mean over perturbations (the control mean, for metrics that refer to that mean). "
        "A metric whose duplicate scores little better than the mean cannot rank models. Models are scored against all "
        "true cells, the controls against half of them."
    )
    places = scale(result, controls)
    shown = [
        metric for metric in result.profile.metrics if places.loc[places["metric"] == metric, "position"].notna().any()
    ]
    parts = [html.picture(figures.calibration_figure(controls), "dynamic-range fraction of each metric")]
    if shown:
        parts.insert(0, html.picture(figures.scale_figure(places, shown), "models between the two controls"))
    return html.section("Can the metrics tell?", html.paragraph(text), *parts)


def _distributions(result: Evaluation) -> Iterator[str]:
    metrics = [name for name in result.profile.metrics if get_metric(name).scope == "condition"][:DISTRIBUTIONS]
    if not metrics:
        return
    figure = metric_distributions(result.table, metrics)
    text = (
        "One dot a condition, from lowest to highest; the line is the mean. Undefined values are counted in the title."
    )
    yield html.section(
        "Distribution over conditions", html.paragraph(text), html.picture(figure, "distributions", dots=True)
    )


def _ranks(result: Evaluation) -> Iterator[str]:
    metrics = [name for name in result.profile.metrics if get_metric(name).base is not None]
    metrics = [name for name in metrics if result.table.loc[result.table["metric"] == name, "value"].notna().any()]
    if metrics:
        text = "The more a curve is to the upper left, the better predictions can be told apart; dotted: chance."
        yield html.section(
            "Rank curves", html.paragraph(text), html.picture(figures.rank_figure(result.table, metrics), "rank curves")
        )


def _effects(result: Evaluation) -> Iterator[str]:
    if result.effects is None:
        return
    names = result.profile.metrics
    metric = next((name for name in EFFECT_METRICS if name in names), names[0])
    parts = [html.paragraph(f"Changes from control, a dot a gene, in the best and the worst conditions by {metric}.")]
    for model in result.effects.predicted:
        chosen = [] if model.startswith(PREFIX) else _extremes(result, model, metric)
        if chosen:
            figure = figures.effects_figure(result.effects, model, chosen, metric)
            parts += [html.heading(model), html.picture(figure, f"predicted and true changes of {model}", dots=True)]
    if len(parts) > 1:
        yield html.section("Predicted and true effects", *parts)


def _extremes(result: Evaluation, model: str, metric: str) -> list[tuple[Pair, float]]:
    """Best conditions, best first, then worst ones, worst last; ties by name."""
    table = result.table
    rows = table[(table["model"] == model) & (table["metric"] == metric)].dropna(subset="value")
    rows = rows[rows[result.keys.perturbation] != WHOLE_STATE]
    ordered = rows.sort_values("value", ascending=not get_metric(metric).higher_is_better, kind="stable")
    n = min(EXTREMES, -(-len(ordered) // 2))
    ends = pd.concat([ordered.head(n), ordered.tail(min(n, len(ordered) - n))])
    states: Sequence[tuple[str, ...]] = [
        tuple(str(row[name]) for name in result.keys.covariates) for _, row in ends.iterrows()
    ]
    conditions = ends[result.keys.perturbation].astype(str)
    return list(zip(zip(states, conditions, strict=True), ends["value"].astype(float), strict=True))
