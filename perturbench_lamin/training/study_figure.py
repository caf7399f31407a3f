"""The picture of a search: the objective over the trials, what matters for it, and each hyperparameter by itself."""

from __future__ import annotations

import textwrap

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from perturbench_lamin.training.importance import Importance, importance
from perturbench_lamin.training.search_spaces import Space

COLUMNS = 3
NOTE_WIDTH = 44
"""Letters of a line beneath a panel."""


def study_figure(table: pd.DataFrame, space: Space) -> Figure:
    """The objective of each trial, the importance of each hyperparameter, and the objective against each.

    Args:
        table: from :func:`~perturbench_lamin.training.study_results.trials_table`.
        space: the search space.
    """
    rows = -(-len(space) // COLUMNS)
    heights = [max(2.8, 1.2 + 0.24 * len(space)), 2.3 * rows]
    figure = Figure(figsize=(10, sum(heights)), layout="constrained")
    # Figures of their own: the names beside the bars would else take room from the panels below.
    upper, lower = figure.subfigures(2, 1, squeeze=False, height_ratios=heights).ravel()
    search, bars = upper.subplots(1, 2, width_ratios=[2, 1])
    _draw_trials(search, table)
    upper.legend(*search.get_legend_handles_labels(), loc="outside upper left", ncols=5, frameon=False)
    _draw_importance(bars, importance(table, space))
    panels = lower.subplots(rows, COLUMNS, squeeze=False, sharey=True).ravel()
    complete = table[table["state"] == "complete"]
    for axes, name in zip(panels, space, strict=False):
        _draw_slice(axes, complete, name, log=bool(getattr(space[name], "log", False)))
    for axes in panels[len(space) :]:
        axes.set_axis_off()
    lower.supylabel("objective", fontsize="medium")
    return figure


def _draw_trials(axes: Axes, table: pd.DataFrame) -> None:
    place = pd.Series(range(1, len(table) + 1), index=table.index)
    complete = table["state"] == "complete"
    values = table["objective"].astype(float)
    axes.plot(place[complete], values[complete], "o", markersize=4, label="complete")
    axes.step(place[complete], values[complete].cummin(), where="post", color="black", label="best so far")
    if complete.any():
        _ring_best(axes, place, values)
    for state, mark in (("pruned", "|"), ("failed", "x")):
        chosen = place[table["state"] == state]
        if len(chosen):
            axes.plot(chosen, [values.max()] * len(chosen), mark, color="grey", label=f"{state} (no objective)")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set(xlabel="trial", ylabel="objective (lower is better)")
    _plain(axes)


def _draw_importance(axes: Axes, found: Importance) -> None:
    axes.set_title("Importance")
    notes = "\n".join(textwrap.fill(note, NOTE_WIDTH) for note in found.notes)
    if found.shares.empty:
        axes.set_axis_off()
        axes.text(0, 0.95, notes, va="top", fontsize="small", transform=axes.transAxes)
        return
    shares = found.shares[::-1]
    bars = axes.barh(shares.index, shares, height=0.6)
    axes.bar_label(bars, [f"{share:.0%}" for share in shares], padding=2, fontsize="small")
    axes.set_xlim(0, 1.12)  # always to the whole: bars of noise look like what they are
    axes.xaxis.set_major_formatter(PercentFormatter(1))
    axes.set_xlabel(
        "of the objective's variance, by itself" + (f"\n{notes}" if notes else ""), fontsize="small", loc="right"
    )
    _plain(axes)


def _draw_slice(axes: Axes, complete: pd.DataFrame, name: str, *, log: bool) -> None:
    values = complete[name]
    numbers = pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_bool_dtype(values)
    places, objective = values.astype(float) if numbers else values.astype(str), complete["objective"].astype(float)
    axes.plot(places, objective, "o", markersize=4)
    if len(complete):
        _ring_best(axes, places, objective)
    if log:
        axes.set_xscale("log")
        _few_ticks(axes)
    elif numbers:
        axes.xaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
    axes.set_xlabel(name)
    axes.tick_params(labelleft=True)
    _plain(axes)


def _ring_best(axes: Axes, places: pd.Series, objective: pd.Series) -> None:
    best = [objective.idxmin()]
    axes.plot(places[best], objective[best], "o", color="black", fillstyle="none", markersize=8, label="best trial")


def _few_ticks(axes: Axes) -> None:
    """Ticks of less than two decades, whose own would lie over each other."""
    low, high = axes.get_xlim()
    if high < 100 * low:
        ticks = np.geomspace(low, high, 5)[1:-1]
        axes.set_xticks(ticks, [f"{tick:,.0f}" if tick >= 100 else f"{tick:.2g}" for tick in ticks])
        axes.minorticks_off()


def _plain(axes: Axes) -> None:
    axes.title.set_fontsize("medium")
    axes.spines[["top", "right"]].set_visible(False)
