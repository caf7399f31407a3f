"""How a metric's values are spread over conditions."""

from __future__ import annotations

from collections.abc import Sequence
from textwrap import shorten

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from perturbench_lamin.evaluation.baselines import PREFIX

COLUMNS = 4
BASELINE_GREYS = ("0.15", "0.5", "0.72", "0.33")
"""Of one baseline and the next, so that they are told apart where they lie on each other."""


def metric_distributions(table: pd.DataFrame, metrics: Sequence[str] | None = None) -> Figure:
    """One panel a metric, one row a model: each condition's value as a dot, lowest to highest, the mean as a line.

    Args:
        table: of an :class:`~perturbench_lamin.evaluation.result.Evaluation`; undefined values are not drawn, and
            the panel's title counts them.
        metrics: which; all where None.
    """
    chosen = list(metrics) if metrics is not None else list(dict.fromkeys(table["metric"]))
    models = list(dict.fromkeys(table["model"]))
    columns = min(COLUMNS, len(chosen))
    rows = -(-len(chosen) // columns)
    figure = Figure(figsize=(1.2 + 2.6 * columns, rows * (1.0 + 0.34 * len(models))), layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False, sharey=True).ravel()
    for panel, metric in zip(panels, chosen, strict=False):
        _draw(panel, table[table["metric"] == metric], metric, models)
    for panel in panels[len(chosen) :]:
        panel.set_visible(False)
    for panel in panels[::columns]:
        panel.set_yticks(range(len(models)), [short(model) for model in models], fontsize="small")
    panels[0].set_ylim(len(models) - 0.4, -0.6)
    return figure


def short(name: str) -> str:
    """A name for an axis: at most 24 characters, and no mathematics."""
    return shorten(name.removeprefix(PREFIX), 24, placeholder="…").replace("$", r"\$") or name[:23].replace("$", r"\$")


def colours(models: Sequence[str]) -> dict[str, str]:
    """A colour a model; each baseline has a grey of its own."""
    baselines = [model for model in models if model.startswith(PREFIX)]
    own = [model for model in models if not model.startswith(PREFIX)]
    greys = {model: BASELINE_GREYS[i % len(BASELINE_GREYS)] for i, model in enumerate(baselines)}
    return greys | {model: f"C{i % 10}" for i, model in enumerate(own)}


def _draw(panel: Axes, rows: pd.DataFrame, metric: str, models: list[str]) -> None:
    colour, missing = colours(models), 0
    for height, model in enumerate(models):
        values = rows.loc[rows["model"] == model, "value"].to_numpy(dtype=float)
        defined = np.sort(values[np.isfinite(values)])
        missing += len(values) - len(defined)
        steps = height + 0.3 - 0.6 * np.linspace(0, 1, len(defined)) if len(defined) > 1 else [height] * len(defined)
        panel.plot(defined, steps, ".", markersize=4, color=colour[model])
        if len(defined):
            panel.plot([defined.mean()] * 2, [height - 0.4, height + 0.4], color="black", linewidth=1.2)
    panel.set_title(metric + (f" ({missing} undefined)" if missing else ""), fontsize="small")
    panel.tick_params(axis="x", labelsize="small")
    panel.spines[["top", "right"]].set_visible(False)
