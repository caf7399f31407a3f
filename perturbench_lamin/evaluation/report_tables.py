"""The tables of a report."""

from __future__ import annotations

import numpy as np
import pandas as pd

from perturbench_lamin.evaluation import report_page as html
from perturbench_lamin.evaluation.baselines import PREFIX
from perturbench_lamin.evaluation.bootstrap import Resampling, intervals, paired_differences
from perturbench_lamin.evaluation.challenge import MEAN_BASELINE
from perturbench_lamin.evaluation.registry import get_metric
from perturbench_lamin.evaluation.result import Evaluation


def scores_section(result: Evaluation, controls: pd.DataFrame | None, resampling: Resampling) -> str:
    """Mean and interval of each metric and model, beside the controls."""
    bounds = intervals(result.table, result.keys, resampling).set_index(["metric", "model"])
    models = list(dict.fromkeys(result.table["model"]))
    known = None if controls is None else controls.set_index("metric")
    rows = []
    for metric in result.profile.metrics:
        means = bounds["mean"].loc[metric]
        signed = means.reindex(models) * (1 if get_metric(metric).higher_is_better else -1)
        row = [(f"{metric} {'↑' if get_metric(metric).higher_is_better else '↓'}", "")]
        if known is not None:
            row.append(("yes", "") if known.loc[metric, "can_rank"] else ("no", "flag"))
        row += [(_cell(bounds.loc[(metric, m)]), "best" if signed[m] == signed.max() else "") for m in models]
        if known is not None:
            row += [(_number(known.loc[metric, name]), "") for name in ("negative", "positive")]
        rows.append(row)
    head = ["metric", *models]
    if known is not None:
        head = ["metric", "can rank", *models, "negative control", "positive control"]
    text = (
        f"Micro mean (over all conditions), with its {resampling.level:.0%} bootstrap interval over conditions, and "
        "the macro mean (over the means of covariate states) where it differs. ↑ higher, ↓ lower is better; "
        "bold: the best of all shown, baselines among them. “Can rank”: "
        "whether the metric tells a good model from a mean on these data."
    )
    return html.section("Scores", html.paragraph(text), html.table(head, rows))


def differences_section(result: Evaluation, resampling: Resampling) -> str:
    """Paired differences of the models to the mean baseline."""
    models = list(dict.fromkeys(result.table["model"]))
    reference = MEAN_BASELINE if MEAN_BASELINE in models else models[0]
    own = result.table[result.table["model"].eq(reference) | ~result.table["model"].str.startswith(PREFIX)]
    if len(set(own["model"])) < 2:
        return html.section("Differences", html.paragraph("There is one model only."))
    found = paired_differences(own, result.keys, reference, resampling)
    models = list(dict.fromkeys(found["model"]))
    cells = found.set_index(["metric", "model"])
    rows = [[(metric, ""), *(_difference(cells.loc[(metric, m)]) for m in models)] for metric in result.profile.metrics]
    text = (
        f"Paired, condition by condition: model − {reference}, with the interval, and the macro mean where it differs. "
        "Bold: the interval excludes 0."
    )
    return html.section("Differences", html.paragraph(text), html.table(["metric", *models], rows))


def definitions_section(result: Evaluation) -> str:
    """What the metrics are."""
    metrics = [get_metric(name) for name in result.profile.metrics]
    rows = [
        [(m.name, ""), (m.formula, "formula"), (m.reference, ""), (f"{m.best:g}", ""), (m.citation, "formula")]
        for m in metrics
    ]
    return html.section("Definitions", html.table(["metric", "formula", "reference", "best", "source"], rows))


def _difference(bounds: pd.Series) -> tuple[str, str]:
    return _cell(bounds), "best" if bounds["differs"] else ""


def _cell(bounds: pd.Series) -> str:
    text = _number(bounds["mean"])
    if np.isfinite(bounds["low"]):
        text += f"\n[{_number(bounds['low'])}, {_number(bounds['high'])}]"
    macro = _number(bounds["macro_mean"])
    return text if macro == _number(bounds["mean"]) else f"{text}\nmacro {macro}"


def _number(value: object) -> str:
    number = float(value)  # type: ignore[arg-type]
    return "undefined" if np.isnan(number) else f"{number:.3g}".replace("-", "−")
