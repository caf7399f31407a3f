"""Pictures of a comparison."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from perturbench_lamin.comparison.result import Comparison

COLOURS = {"shared": "C0", "only A": "C1", "only B": "C3"}


def overlap_figure(comparison: Comparison) -> Figure:
    """The cells and the genes that both files have, and that one has."""
    figure = Figure(figsize=(7.5, 1.9), layout="constrained")
    panels = figure.subplots(1, 2)
    for panel, name in zip(panels, ("cells", "genes"), strict=True):
        details = comparison.part(name).details
        numbers = {"only A": details["only_a"], "shared": details["shared"], "only B": details["only_b"]}
        _bars(panel, numbers)
        panel.set_title(name, fontsize="medium")
    return figure


def _bars(panel: Axes, numbers: Mapping[str, int]) -> None:
    panel.barh(range(len(numbers)), list(numbers.values()), color=[COLOURS[name] for name in numbers])
    for place, number in enumerate(numbers.values()):
        panel.text(number, place, f" {number:,}", va="center", fontsize="small")
    panel.set_yticks(range(len(numbers)), list(numbers), fontsize="small")
    panel.invert_yaxis()
    panel.set_xlim(0, max(1, *numbers.values()) * 1.3)
    panel.tick_params(labelsize="small")


def distance_figure(name: str, histogram: Mapping[str, Any]) -> Figure:
    """How far the values that differ are from what they should be."""
    figure = Figure(figsize=(5.5, 2.4), layout="constrained")
    panel = figure.subplots()
    edges = np.asarray(histogram["edges"])
    panel.bar(edges[:-1], histogram["values"], width=np.diff(edges), align="edge", color="C3", edgecolor="white")
    panel.set_xlabel(f"log10 of the distance between values of {name}", fontsize="small")
    panel.set_ylabel("values", fontsize="small")
    panel.tick_params(labelsize="small")
    return figure


def explanation_figure(explanations: Mapping[str, list[dict[str, Any]]]) -> Figure:
    """Coverage and purity of the conditions that explain what only one file has, or what differs."""
    rows = [(f"{what}: {found['text']}", found) for what, several in explanations.items() for found in several]
    figure = Figure(figsize=(7.5, 0.9 + 0.34 * len(rows)), layout="constrained")
    panel = figure.subplots()
    places = np.arange(len(rows))
    panel.barh(places - 0.18, [found["coverage"] for _, found in rows], 0.34, color="C0", label="coverage")
    panel.barh(places + 0.18, [found["purity"] for _, found in rows], 0.34, color="C2", label="purity")
    # A dollar sign would begin a formula.
    panel.set_yticks(places, [short(text).replace("$", r"\$") for text, _ in rows], fontsize="small")
    panel.invert_yaxis()
    panel.set_xlim(0, 1)
    figure.legend(*panel.get_legend_handles_labels(), loc="outside right upper", fontsize="small", frameon=False)
    return figure


def short(text: str, most: int = 60) -> str:
    """The text, or its beginning."""
    return text if len(text) <= most else f"{text[: most - 1]}…"
