"""A drawing of a lineage graph."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from perturbench_lamin.files import atomic_path
from perturbench_lamin.lineage.graph import LineageGraph

RUN_COLOUR, ARTIFACT_COLOUR, EDGE_COLOUR = "#f4d8a8", "#bcd9ee", "#8a8a8a"
COLUMN_INCHES, ROW_INCHES = 2.7, 0.62


def draw(graph: LineageGraph, path: Path) -> Path:
    """Draw runs and artifacts from left (raw files) to right, and save the picture atomically."""
    places = _places(graph)
    columns = 1 + max((x for x, _ in places.values()), default=0)
    rows = 1 + max((y for _, y in places.values()), default=0)
    figure = Figure(figsize=(columns * COLUMN_INCHES, (rows + 1) * ROW_INCHES), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.set_axis_off()
    axes.set_xlim(-0.5, columns - 0.5)
    axes.set_ylim(rows - 0.2, -0.8)
    _draw_edges(axes, graph, places)
    _draw_nodes(axes, graph, places)
    with atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=150)
    return path


def _draw_edges(axes: Axes, graph: LineageGraph, places: Mapping[str, tuple[float, float]]) -> None:
    edges = [(uid, run.uid) for run in graph.runs.values() for uid in run.inputs]
    edges += [(run.uid, uid) for run in graph.runs.values() for uid in run.outputs if uid in places]
    for source, target in edges:
        axes.annotate(
            "",
            xy=places[target],
            xytext=places[source],
            arrowprops={"arrowstyle": "-|>", "color": EDGE_COLOUR, "shrinkA": 55, "shrinkB": 62, "lw": 0.9},
        )


def _draw_nodes(axes: Axes, graph: LineageGraph, places: Mapping[str, tuple[float, float]]) -> None:
    labels = {uid: (_folded(node.key), ARTIFACT_COLOUR, "round") for uid, node in graph.artifacts.items()}
    labels |= {uid: (_folded(run.transform), RUN_COLOUR, "square") for uid, run in graph.runs.items()}
    for uid, (label, colour, shape) in labels.items():
        axes.text(
            *places[uid],
            label,
            ha="center",
            va="center",
            fontsize=6.5,
            bbox={"boxstyle": f"{shape},pad=0.4", "facecolor": colour, "edgecolor": "#555555", "linewidth": 0.6},
        )


def _places(graph: LineageGraph) -> dict[str, tuple[float, float]]:
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
    return f"{run.transform}{sorted(run.params.items())}" if run else graph.artifacts[uid].key


def _folded(key: str, width: int = 30) -> str:
    """A key in lines of about ``width`` characters, broken at its slashes."""
    lines = [""]
    for part in key.replace("/", "/\n").split("\n"):
        if len(lines[-1]) + len(part) > width and lines[-1]:
            lines.append("")
        lines[-1] += part
    return "\n".join(line if len(line) <= width + 4 else f"{line[:width]}…" for line in lines)
