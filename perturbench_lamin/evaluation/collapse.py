"""Rank against fit: a model that predicts nearly the same for every condition fits well and ranks like chance."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import cycle
from types import MappingProxyType

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from perturbench_lamin.errors import InputError, some
from perturbench_lamin.evaluation.leaderboard import with_all_keys
from perturbench_lamin.evaluation.registry import get_metric
from perturbench_lamin.evaluation.trend import MARKERS

CHANCE = 0.5
"""The rank of a model that tells no conditions apart, where ties count half."""
PAIRS: Mapping[str, str] = MappingProxyType({"rmse_average": "rmse_average_rank", "cosine_logfc": "cosine_logfc_rank"})
"""A metric of fit, and the rank of the same."""


def runs_table(table: pd.DataFrame) -> pd.DataFrame:
    """Each run's fit and rank, means over conditions.

    Args:
        table: a long table of metrics with ``model``, ``metric``, ``value``, and any of ``task`` and ``seed``.

    Returns:
        ``task``, ``model``, ``seed`` (those that there are), ``metric`` (of fit), ``fit``, ``rank``.

    Raises:
        InputError: no metric comes with its rank.
    """
    runs = [name for name in ("task", "model", "seed") if name in table.columns]
    wide = with_all_keys(table, runs).groupby([*runs, "metric"])["value"].mean().unstack("metric")
    pairs = [(fit, rank) for fit, rank in PAIRS.items() if {fit, rank} <= set(wide.columns)]
    if not pairs:
        raise InputError(
            f"No metric comes with its rank: {some(wide.columns)}", where="metrics", fix="Use the profile perturbench."
        )
    parts = [pd.DataFrame({"metric": fit, "fit": wide[fit], "rank": wide[rank]}).reset_index() for fit, rank in pairs]
    return pd.concat(parts, ignore_index=True)


def agreement(runs: pd.DataFrame) -> pd.DataFrame:
    """How far fit and rank order the runs alike: Spearman's correlation, 1 where the better fit ranks better.

    Args:
        runs: from :func:`runs_table`.

    Returns:
        ``metric``, ``runs``, ``spearman`` (NaN for fewer than two runs, or equal ones).
    """
    rows = []
    for metric, part in runs.groupby("metric", sort=True):
        sign = -1.0 if get_metric(str(metric)).higher_is_better else 1.0
        fit, rank = (sign * part["fit"]).rank(), part["rank"].rank()
        defined = len(part) > 1 and fit.nunique() > 1 and rank.nunique() > 1
        rows.append((metric, len(part), float(fit.corr(rank)) if defined else float("nan")))
    return pd.DataFrame(rows, columns=["metric", "runs", "spearman"])


def collapse_figure(runs: pd.DataFrame, *, title: str = "") -> Figure:
    """Rank against fit, one panel a metric, one point a run, a colour and a marker for each model.

    Args:
        runs: from :func:`runs_table`.
        title: over the panels.
    """
    metrics = sorted(runs["metric"].unique())
    figure = Figure(figsize=(1.5 + 3.4 * len(metrics), 4), layout="constrained")
    panels = figure.subplots(1, len(metrics), squeeze=False)[0]
    for axes, metric in zip(panels, metrics, strict=True):
        _draw(axes, runs[runs["metric"] == metric], metric)
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside right upper", frameon=False)
    figure.suptitle(title, fontsize="large")
    figure.supxlabel("A point is one training: means over conditions.", fontsize="small")
    return figure


def _draw(axes: Axes, runs: pd.DataFrame, metric: str) -> None:
    for marker, (model, part) in zip(cycle(MARKERS), runs.groupby("model", sort=True), strict=False):
        axes.plot(part["fit"], part["rank"], marker, markersize=5, alpha=0.8, label=str(model))
    axes.set_ylim(-0.05, 1.05)
    axes.axhline(CHANCE, color="grey", linestyle="--", linewidth=1, label="chance")
    better = "higher" if get_metric(metric).higher_is_better else "lower"
    axes.set(xlabel=f"{metric} ({better} is better)", ylabel=f"{PAIRS[metric]} (lower is better)")
    axes.spines[["top", "right"]].set_visible(False)
