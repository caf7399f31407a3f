"""How metrics change along a family of tasks, such as those that train on more and more data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import cycle
from pathlib import Path

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from perturbench_lamin.errors import InputError, some
from perturbench_lamin.evaluation.leaderboard import leaderboard
from perturbench_lamin.evaluation.registry import get_metric
from perturbench_lamin.files import atomic_path

LEVEL = "level"
MARKERS = "osD^vP*X"
"""Of the models, in turn: colours alone do not tell lines apart for everybody."""


def trend_table(table: pd.DataFrame, levels: Mapping[str, float]) -> pd.DataFrame:
    """Mean ± standard deviation over seeds, of each task.

    Args:
        table: a long table of metrics with a column ``task``.
        levels: task → what the tasks differ by, in the order of the figure.

    Returns:
        The leaderboard, with a column ``level``, sorted by metric, model and level.

    Raises:
        InputError: a task has no metrics, or the table has another.
    """
    found = set(table["task"].unique()) if "task" in table.columns else set()
    if missing := [task for task in levels if task not in found]:
        raise InputError(f"No metrics of {some(missing)}", where="metrics", fix="Evaluate models on these tasks first.")
    if other := sorted(found - set(levels)):
        raise InputError(f"Metrics of other tasks: {some(other)}", where="metrics", fix="Name these tasks, too.")
    board = leaderboard(table)
    board.insert(0, LEVEL, board["task"].map(dict(levels)).astype(float))
    return board.sort_values(["metric", "model", LEVEL], kind="stable").reset_index(drop=True)


def trend_figure(
    trend: pd.DataFrame,
    label: str,
    *,
    log: bool = False,
    metrics: Sequence[str] | None = None,
    title: str = "",
    note: str = "",
) -> Figure:
    """One panel a metric, one line a model; beneath them what points and bars are.

    Args:
        trend: from :func:`trend_table`.
        label: what the levels are.
        log: whether the levels are drawn on a logarithmic axis.
        metrics: which; all where None.
        title: over the panels.
        note: what else one must know to read them, in sentences.
    """
    chosen = list(metrics) if metrics is not None else sorted(trend["metric"].unique())
    figure = Figure(figsize=(1 + 3 * len(chosen), 4), layout="constrained")
    panels = figure.subplots(1, len(chosen), squeeze=False)[0]
    for axes, metric in zip(panels, chosen, strict=True):
        _draw(axes, trend[trend["metric"] == metric], metric, label)
        if log:
            axes.set_xscale("log")
        levels = sorted(trend[LEVEL].unique())
        axes.set_xticks(levels, [f"{level:,.0f}" if level >= 100 else f"{level:.3g}" for level in levels], rotation=30)
        axes.minorticks_off()
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside right upper", frameon=False)
    figure.suptitle(title, fontsize="large")
    figure.supxlabel(" ".join(filter(None, (_points(trend), note))), fontsize="small")
    return figure


def _points(trend: pd.DataFrame) -> str:
    """What a point is, with how many seeds."""
    seeds = sorted(trend["n_seeds"].unique())
    counted = " or ".join(str(count) for count in seeds) + (" seed" if seeds == [1] else " seeds")
    return f"Mean over conditions and {counted}{'' if seeds == [1] else ', bars: ± standard deviation over seeds'}."


def save_figure(figure: Figure, path: Path) -> Path:
    """Write a figure, atomically; its suffix says in which format."""
    with atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=120, metadata={"Software": None} if path.suffix == ".png" else None)
    return path


def _draw(axes: Axes, rows: pd.DataFrame, metric: str, label: str) -> None:
    for marker, (model, part) in zip(cycle(MARKERS), rows.groupby("model", sort=True), strict=False):
        error = part["sd"].fillna(0.0).to_numpy(dtype=float)
        axes.errorbar(part[LEVEL], part["mean"], yerr=error, marker=marker, markersize=4, capsize=2, label=str(model))
    better = "higher is better" if get_metric(metric).higher_is_better else "lower is better"
    axes.set(title=metric, xlabel=label, ylabel=better)
    axes.title.set_fontsize("medium")
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(linewidth=0.4, alpha=0.6)
