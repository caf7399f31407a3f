"""A figure of a leaderboard: one panel per metric, mean ± standard deviation of each model."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from perturbench_lamin.evaluation.leaderboard import BOARD, order_models, with_all_keys
from perturbench_lamin.evaluation.registry import get_metric


def leaderboard_figure(board: pd.DataFrame, metrics: Sequence[str] | None = None, sort_by: str | None = None) -> Figure:
    """Draw a leaderboard as dots with error bars, models by row, best on top, boards in colours.

    Args:
        board: from :func:`~perturbench_lamin.evaluation.leaderboard.leaderboard`.
        metrics: one panel each; all where None.
        sort_by: the metric to order models by; the first where None.

    Returns:
        A figure of its own, which no global state keeps.
    """
    board = with_all_keys(board)
    chosen = list(metrics) if metrics is not None else sorted(board["metric"].unique())
    models = order_models(board, sort_by or chosen[0])
    figure = Figure(figsize=(1.5 + 2.6 * len(chosen), 1.2 + 0.32 * len(models)), layout="constrained")
    axes = figure.subplots(1, len(chosen), sharey=True, squeeze=False)[0]
    for panel, metric in zip(axes, chosen, strict=True):
        _draw(panel, board[board["metric"] == metric], metric, models)
    axes[0].set_yticks(range(len(models)), models)
    axes[0].invert_yaxis()
    if len(_boards(board)) > 1:
        figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", frameon=False)
    return figure


def _draw(panel: Axes, rows: pd.DataFrame, metric: str, models: list[str]) -> None:
    boards = _boards(rows)
    for number, (label, part) in enumerate(boards):
        height = [models.index(str(model)) for model in part["model"]]
        shift = 0.15 * (number - (len(boards) - 1) / 2)
        error = part["sd"].fillna(0.0).to_numpy(dtype=float)
        panel.errorbar(part["mean"], np.add(height, shift), xerr=error, fmt="o", markersize=4, capsize=2, label=label)
    panel.set_title(metric, fontsize="medium")
    panel.set_xlabel("higher is better" if get_metric(metric).higher_is_better else "lower is better", fontsize="small")
    panel.grid(axis="x", linewidth=0.4, alpha=0.6)


def _boards(rows: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    names = [name for name in BOARD if name in rows.columns]
    if not names:
        return [("", rows)]
    return [
        (" / ".join(str(name) or "–" for name in key), part)
        for key, part in rows.groupby(names, sort=True, observed=True)
    ]
