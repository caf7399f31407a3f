"""A part of the lineage as the graph library takes it."""

from __future__ import annotations

from typing import Any

from perturbench_lamin.browse import words
from perturbench_lamin.browse.kinds import kind_of
from perturbench_lamin.browse.neighbourhood import Neighbourhood
from perturbench_lamin.browse.site import Site

LINE = 22


def graph_data(site: Site, around: Neighbourhood, root: str) -> dict[str, Any]:
    """Nodes with their label, kind and address, and edges with their word; to be embedded as JSON.

    Nodes of one ``role`` and the same neighbours may be drawn as one, called by how many there are and ``many``.
    """
    snapshot = site.snapshot
    nodes = []
    for artifact in (snapshot.artifacts[uid] for uid in around.artifacts):
        state = site.states[artifact.uid]
        nodes.append(
            {
                "id": artifact.uid,
                "label": _folded(words.artifact_title(artifact)),
                "kind": kind_of(artifact).name,
                "role": kind_of(artifact).name,
                "many": kind_of(artifact).plural.lower(),
                "word": kind_of(artifact).title + (f", file {state}" if state.is_bad else ""),
                "bad": state.is_bad,
                "href": f"{root}artifact/{artifact.uid}.html",
            }
        )
    for run in (snapshot.runs[uid] for uid in around.runs):
        nodes.append(
            {
                "id": run.uid,
                "label": _folded(site.run_title(run)),
                "kind": "run",
                "role": run.transform,
                "many": f"{words.transform_name(site.transform(run))} runs",
                "word": f"Run, {words.status(run)}",
                "bad": words.status_class(run) == "bad",
                "href": f"{root}run/{run.uid}.html",
            }
        )
    edges = [{"source": source, "target": target, "word": word} for source, target, word in around.edges]
    return {"centre": around.centre, "nodes": nodes, "edges": edges}


def _folded(name: str) -> str:
    """A name in lines, broken at its slashes and spaces; the middle of a very long one is left out."""
    lines = [""]
    for part in name.replace("/", "/\n").replace(" ", " \n").split("\n"):
        if len(lines[-1]) + len(part) > LINE and lines[-1]:
            lines.append("")
        lines[-1] += part
    shown = lines if len(lines) <= 4 else [*lines[:2], "…", lines[-1]]
    return "\n".join(line if len(line) <= LINE + 4 else f"{line[:LINE]}…" for line in shown)
