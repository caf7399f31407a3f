"""Pictures of a curated dataset and its split."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from perturbench_lamin.conditions import ObsKeys, covariate_states
from perturbench_lamin.contracts import SPLIT_NAMES

SPLIT_COLOURS = {"train": "#4878a8", "val": "#e0a030", "test": "#b04a4a"}


def cells_per_condition(obs: pd.DataFrame, keys: ObsKeys) -> Figure:
    """Cells of each condition, sorted, one line a covariate state; the control as a dashed line.

    Args:
        obs: the table of cells.
        keys: its columns.
    """
    figure = Figure(figsize=(7, 3), layout="constrained")
    axes = figure.add_subplot()
    states = covariate_states(obs, keys.covariates)
    conditions = obs[keys.perturbation].astype(str)
    for number, state in enumerate(sorted(states.unique())):
        cells = conditions[(states == state).to_numpy()].value_counts()
        perturbed = cells.drop(keys.control, errors="ignore").to_numpy()
        label, colour = "/".join(state) or "all cells", f"C{number % 10}"
        axes.plot(np.arange(1, len(perturbed) + 1), perturbed, color=colour, label=label)
        axes.axhline(cells.get(keys.control, np.nan), color=colour, linestyle="--", linewidth=0.8)
    axes.set(xlabel="conditions, largest first", ylabel="cells", yscale="log", title="dashed: control")
    axes.legend(frameon=False, fontsize=7, ncols=2)
    axes.spines[["top", "right"]].set_visible(False)
    return figure


def split_bars(obs: pd.DataFrame, split: pd.Series, keys: ObsKeys) -> Figure:
    """Conditions of each covariate state by the part they are in, as stacked bars.

    Args:
        obs: the table of cells.
        split: cell → part.
        keys: the columns of ``obs``.
    """
    states = covariate_states(obs, keys.covariates).map(lambda state: "/".join(state) or "all cells")
    table = pd.DataFrame({"state": states, "condition": obs[keys.perturbation].astype(str), "part": split})
    table = table[(table["condition"] != keys.control) & table["part"].isin(SPLIT_NAMES)]
    counts = table.groupby(["state", "part"])["condition"].nunique().unstack(fill_value=0)
    figure = Figure(figsize=(7, 0.9 + 0.3 * len(counts)), layout="constrained")
    axes = figure.add_subplot()
    left = np.zeros(len(counts))
    for part in SPLIT_NAMES:
        width = counts.get(part, pd.Series(0, index=counts.index)).to_numpy()
        bars = axes.barh(list(counts.index), width, left=left, color=SPLIT_COLOURS[part], label=part)
        axes.bar_label(bars, [str(n) if n else "" for n in width], label_type="center", color="white", fontsize=8)
        left += width
    axes.set(xlabel="perturbed conditions")
    axes.legend(frameon=False, ncols=3, loc="lower right", bbox_to_anchor=(1, 1))
    axes.spines[["top", "right"]].set_visible(False)
    return figure
