"""A drawing of a lineage graph."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch
from matplotlib.path import Path as Path_

from perturbench_lamin.files import atomic_path
from perturbench_lamin.lineage.graph import LineageGraph, RunNode, step_name

RUN_COLOUR, ARTIFACT_COLOUR, EDGE_COLOUR = "#f6dcae", "#c3dff1", "#9a9a9a"
COLUMN_INCHES, ROW_INCHES = 2.5, 0.6
BOX_WIDTH, BOX_HEIGHT = 0.74, 0.66

Place = tuple[float, float]
"""Column and row."""


def draw(graph: LineageGraph, path: Path) -> Path:
    """Draw runs and artifacts from left (raw files) to right, and save the picture atomically."""
    places = _places(graph)
    columns = 1 + max((x for x, _ in places.values()), default=0)
    rows = 1 + max((y for _, y in places.values()), default=0)
    figure = Figure(figsize=(columns * COLUMN_INCHES, (rows + 0.4) * ROW_INCHES), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.set_axis_off()
    axes.set_xlim(-0.45, columns - 0.55)
    axes.set_ylim(rows - 0.4, -0.6)
    for source, target in _edges(graph, places):
        axes.add_patch(_arrow(places[source], places[target]))
    for uid, place in places.items():
        axes.add_patch(_box(place, RUN_COLOUR if uid in graph.runs else ARTIFACT_COLOUR, round_=uid not in graph.runs))
        axes.text(*place, _label(graph, uid), ha="center", va="center", fontsize=6.5)
    with atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=150)
    return path


def _edges(graph: LineageGraph, places: Mapping[str, Place]) -> list[tuple[str, str]]:
    read = [(uid, run.uid) for run in graph.runs.values() for uid in run.inputs]
    made = [(run.uid, uid) for run in graph.runs.values() for uid in run.outputs if uid in places]
    return [*read, *made]


def _arrow(source: Place, target: Place) -> FancyArrowPatch:
    """A curve from the right side of one box to the left side of another."""
    start, end = (source[0] + BOX_WIDTH / 2, source[1]), (target[0] - BOX_WIDTH / 2, target[1])
    bend = 0.5 * min(end[0] - start[0], 1.0)
    curve = Path_([start, (start[0] + bend, start[1]), (end[0] - bend, end[1]), end], [1, 4, 4, 4])
    faint = 0.35 if end[0] - start[0] > 1 else 1.0  # an edge that passes other boxes stays behind them
    return FancyArrowPatch(
        path=curve, arrowstyle="-|>", mutation_scale=7, color=EDGE_COLOUR, linewidth=0.8, alpha=faint, zorder=0.5
    )


def _box(place: Place, colour: str, *, round_: bool) -> FancyBboxPatch:
    corner = (place[0] - BOX_WIDTH / 2, place[1] - BOX_HEIGHT / 2)
    style = "round,pad=0,rounding_size=0.12" if round_ else "square,pad=0"
    return FancyBboxPatch(
        corner, BOX_WIDTH, BOX_HEIGHT, boxstyle=style, facecolor=colour, edgecolor="#555555", linewidth=0.6
    )


def _label(graph: LineageGraph, uid: str) -> str:
    run = graph.runs.get(uid)
    return _folded(run_name(run) if run else graph.artifacts[uid].key)


def run_name(run: RunNode) -> str:
    """The notebook's name with the model and seed, where it has them."""
    return step_name(run.transform, run.params)


def _places(graph: LineageGraph) -> dict[str, Place]:
    """Column: the longest way from a raw file. Row: centred among the nodes of the column."""
    depth: dict[str, int] = {}
    for run in graph.runs.values():
        depth[run.uid] = 1 + max((depth[uid] for uid in run.inputs), default=-1)
        for uid in run.outputs:
            if uid in graph.artifacts:
                depth[uid] = depth[run.uid] + 1
    for uid in graph.artifacts:
        depth.setdefault(uid, 0)
    columns: dict[int, list[str]] = {}
    for uid in sorted(depth, key=lambda uid: (depth[uid], _name(graph, uid))):
        columns.setdefault(depth[uid], []).append(uid)
    tallest = max((len(column) for column in columns.values()), default=0)
    return {
        uid: (float(x), (tallest - len(column)) / 2 + y)
        for x, column in columns.items()
        for y, uid in enumerate(column)
    }


def _name(graph: LineageGraph, uid: str) -> str:
    run = graph.runs.get(uid)
    return run_name(run) if run else graph.artifacts[uid].key


def _folded(key: str, width: int = 32) -> str:
    """A name in lines of about ``width`` characters, broken at its slashes and spaces."""
    lines = [""]
    for part in re.split(r"(?<=[/ ])", key):
        if len(lines[-1]) + len(part) > width and lines[-1]:
            lines.append("")
        lines[-1] += part
    return "\n".join(line if len(line) <= width + 4 else f"{line[:width]}…" for line in lines)
