"""A step of a chain: one notebook, its parameters, what it reads and what it makes."""

from __future__ import annotations

import ast
import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Any

from perturbench_lamin import __version__
from perturbench_lamin.errors import ChainError, nearest
from perturbench_lamin.files import sha256


@dataclass(frozen=True)
class Output:
    """What an earlier step made, named by its key.

    Attributes:
        step: the step's name.
        key: the artifact's key; ``*`` stands for any run.
    """

    step: str
    key: str


@dataclass(frozen=True)
class Step:
    """One notebook with everything that decides its result.

    Attributes:
        name: unique within a chain, such as ``curate norman19``.
        notebook: its path below the notebooks' folder; also LaminDB's key of the transform.
        params: parameters that the notebook records with ``ln.track``.
        inputs: parameter → output (or outputs) of earlier steps; filled with artifact uids.
        settings: parameters that do not change the result, such as where working files lie.
        outputs: keys that the step must make; ``*`` stands for any run.
        external: files outside the instance that the step reads; their content counts.
    """

    name: str
    notebook: str
    params: Mapping[str, Any] = field(default_factory=dict)
    inputs: Mapping[str, Output | tuple[Output, ...]] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    outputs: tuple[str, ...] = ()
    external: tuple[Path, ...] = ()

    def needs(self) -> set[str]:
        """The names of the steps whose outputs this one reads."""
        return {output.step for value in self.inputs.values() for output in _as_tuple(value)}


def fingerprint(step: Step, notebook: Path, parameters: Mapping[str, Any]) -> str:
    """A digest of everything that decides a step's result.

    Args:
        step: the step.
        notebook: the notebook's file.
        parameters: ``step.params`` and the uids of its inputs.
    """
    parts = {
        "notebook": step.notebook,
        "source": source_digest(notebook),
        "parameters": dict(parameters),
        "external": [sha256(path) for path in step.external],
        "package": __version__,
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def source_digest(notebook: Path) -> str:
    """A digest of a notebook's cells: their sources, types and tags, not outputs or counters."""
    return hashlib.sha256(json.dumps(_cells(notebook)).encode()).hexdigest()


def require_parameters(step: Step, notebook: Path) -> None:
    """Check that the notebook's parameters cell has every parameter that the step sets.

    Papermill would pass an unknown one on, to no effect.

    Raises:
        ChainError: one is unknown; the nearest are named.
    """
    sources = [source for kind, source, tags in _cells(notebook) if kind == "code" and "parameters" in tags]
    assigned = [node for source in sources for node in ast.parse(source).body if isinstance(node, ast.Assign)]
    known = [target.id for node in assigned for target in node.targets if isinstance(target, ast.Name)]
    for name in (*step.params, *step.inputs, *step.settings):
        if name not in known:
            raise ChainError(f"The notebook has no parameter {name!r}", where=step.notebook, fix=nearest(name, known))


def _cells(notebook: Path) -> list[tuple[str, str, list[str]]]:
    """(type, source, tags) of each cell."""
    try:
        cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
        return [(cell["cell_type"], "".join(cell["source"]), cell["metadata"].get("tags", [])) for cell in cells]
    except (OSError, ValueError, KeyError) as error:
        raise ChainError(f"Not a readable notebook: {error}", where=notebook) from error


def in_order(steps: Sequence[Step]) -> list[Step]:
    """The steps so that each comes after those it needs, otherwise as given.

    Raises:
        ChainError: two steps share a name, a step needs an unknown one, or they need each other in a circle.
    """
    by_name = {step.name: step for step in steps}
    if len(by_name) < len(steps):
        raise ChainError("Two steps of the chain have the same name", fix="Name models and seeds once each.")
    for step in steps:
        for unknown in step.needs() - by_name.keys():
            raise ChainError(f"Step {step.name!r} needs {unknown!r}, which is no step", fix=nearest(unknown, by_name))
    sorter = TopologicalSorter({step.name: sorted(step.needs()) for step in steps})
    try:
        return [by_name[name] for name in sorter.static_order()]
    except CycleError as error:
        raise ChainError(f"Steps need each other in a circle: {' → '.join(error.args[1])}") from error


def _as_tuple(value: Output | Iterable[Output]) -> tuple[Output, ...]:
    return (value,) if isinstance(value, Output) else tuple(value)
