"""The figures of a report."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from perturbench_lamin.evaluation.baselines import PREFIX
from perturbench_lamin.evaluation.calibration import LEAST
from perturbench_lamin.evaluation.distributions import colours, short
from perturbench_lamin.evaluation.effects import Effects
from perturbench_lamin.evaluation.groups import Pair
from perturbench_lamin.evaluation.validate import pair_name

TALL = 20
"""Rows from which on a figure has its scale at the top, too."""

SCALE_LIMITS = (-0.5, 1.25)
"""Models outside are drawn at the edge."""


def scale_figure(scale: pd.DataFrame, metrics: Sequence[str]) -> Figure:
    """Each model between the negative control (0) and the positive control (1), a row a metric.

    Args:
        scale: ``model``, ``metric``, ``position``.
        metrics: from top to bottom.
    """
    models = list(dict.fromkeys(scale["model"]))
    figure = Figure(figsize=(7.5, 1.1 + 0.24 * len(metrics)), layout="constrained")
    panel = figure.subplots()
    marks = markers(models)
    for model, colour in colours(models).items():
        own = scale[scale["model"] == model].set_index("metric")["position"].reindex(list(metrics))
        places = np.clip(own, *SCALE_LIMITS)
        panel.plot(places, range(len(metrics)), marks[model], color=colour, label=short(model), markersize=5)
    for place, style in ((0.0, "-"), (1.0, "--")):
        panel.axvline(place, color="black", linewidth=0.8, linestyle=style)
    panel.set_yticks(range(len(metrics)), metrics, fontsize="small")
    panel.set_ylim(len(metrics) - 0.4, -0.6)
    panel.set_xlim(SCALE_LIMITS[0] - 0.05, SCALE_LIMITS[1] + 0.05)
    panel.set_xticks([0, 0.5, 1], ["mean baseline", "half way", "technical duplicate"], fontsize="small")
    panel.tick_params(axis="x", top=True, labeltop=len(metrics) > TALL)
    panel.grid(axis="y", linewidth=0.3)
    figure.legend(loc="outside right upper", fontsize="small", frameon=False)
    return figure


def markers(models: Sequence[str]) -> dict[str, str]:
    """A marker a model: a dot for a model, something else for each baseline."""
    baselines = [model for model in models if model.startswith(PREFIX)]
    return {**dict.fromkeys(models, "o"), **{model: "sD^v"[i % 4] for i, model in enumerate(baselines)}}


def lines(models: Sequence[str]) -> dict[str, Any]:
    """A style of line a model: full for a model, broken for each baseline."""
    baselines = [model for model in models if model.startswith(PREFIX)]
    broken = ("--", "-.", (0, (1, 1)), (0, (5, 1, 1, 1, 1, 1)))
    return {**dict.fromkeys(models, "-"), **{model: broken[i % 4] for i, model in enumerate(baselines)}}


def calibration_figure(summary: pd.DataFrame, least: float = LEAST) -> Figure:
    """The dynamic-range fraction of each metric, and the line below which it cannot rank."""
    figure = Figure(figsize=(7.5, 0.9 + 0.22 * len(summary)), layout="constrained")
    panel = figure.subplots()
    fractions = summary["fraction"].to_numpy(dtype=float)
    bars = ["C0" if can else "C3" for can in summary["can_rank"]]
    panel.barh(range(len(summary)), np.nan_to_num(fractions), color=bars)
    for row in np.flatnonzero(np.isnan(fractions)):
        panel.text(0.01, float(row), "undefined", va="center", fontsize="x-small", color="C3")
    panel.axvline(least, color="black", linewidth=0.8, linestyle=":")
    panel.set_yticks(range(len(summary)), list(summary["metric"]), fontsize="small")
    panel.set_ylim(len(summary) - 0.4, -0.6)
    panel.set_xlim(min(-0.02, float(np.nanmin(fractions, initial=0.0)) - 0.02), 1.02)
    panel.set_xlabel("dynamic-range fraction (median over conditions); dotted: least to rank models", fontsize="small")
    return figure


def rank_figure(table: pd.DataFrame, metrics: Sequence[str]) -> Figure:
    """Rank curves: the share of conditions whose rank is at most x; the diagonal is chance."""
    models = list(dict.fromkeys(table["model"]))
    figure = Figure(figsize=(1.8 + 2.7 * len(metrics), 3.0), layout="constrained")
    panels = figure.subplots(1, len(metrics), squeeze=False, sharey=True)[0]
    styles = lines(models)
    for panel, metric in zip(panels, metrics, strict=True):
        rows = table[table["metric"] == metric]
        for model, colour in colours(models).items():
            ranks = np.sort(rows.loc[rows["model"] == model, "value"].dropna().to_numpy(dtype=float))
            share = np.arange(1, len(ranks) + 1) / max(len(ranks), 1)
            panel.step([0, *ranks, 1], [0, *share, share[-1] if len(share) else 0], where="post", color=colour,
                       label=short(model), linewidth=1.2, linestyle=styles[model])  # fmt: skip
        panel.plot([0, 1], [0, 1], color="black", linewidth=0.6, linestyle=":")
        panel.set_title(metric, fontsize="small")
        panel.set_xlabel("rank (0 is best)", fontsize="small")
    panels[0].set_ylabel("share of conditions", fontsize="small")
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside right upper", fontsize="small", frameon=False)
    return figure


def effects_figure(effects: Effects, model: str, chosen: Sequence[tuple[Pair, float]], metric: str) -> Figure:
    """Predicted against true changes from control, a panel a condition, a dot a gene.

    Args:
        effects: true and predicted means.
        model: whose prediction.
        chosen: conditions with their value of the metric.
        metric: its name.
    """
    figure = Figure(figsize=(2.5 * len(chosen), 2.8), layout="constrained")
    panels = figure.subplots(1, len(chosen), squeeze=False)[0]
    for panel, (pair, value) in zip(panels, chosen, strict=True):
        _scatter(panel, effects.change(pair), effects.change(pair, model))
        panel.set_title(f"{short(pair_name(pair))}\n{metric} {value:.3g}", fontsize="small")
    panels[0].set_ylabel("predicted change", fontsize="small")
    return figure


def _scatter(panel: Axes, true: np.ndarray, predicted: np.ndarray) -> None:
    panel.plot(true, predicted, ".", markersize=2.5, alpha=0.5, color="C0", rasterized=True)
    limits = [min(true.min(), predicted.min()), max(true.max(), predicted.max())]
    panel.plot(limits, limits, color="black", linewidth=0.6)
    panel.axhline(0, color="0.7", linewidth=0.5)
    panel.axvline(0, color="0.7", linewidth=0.5)
    panel.set_xlabel("true change", fontsize="small")
    panel.tick_params(labelsize="x-small")
