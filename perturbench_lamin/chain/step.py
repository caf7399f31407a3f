"""A step of a chain: one notebook, its parameters, what it reads and what it makes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Any

from perturbench_lamin.chain.code import CodeFiles, code_of
from perturbench_lamin.chain.notebook import defaults, source_digest
from perturbench_lamin.errors import ChainError, nearest
from perturbench_lamin.remembered import sha256


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


@dataclass(frozen=True)
class Identity:
    """Everything that decides a step's result.

    Attributes:
        mark: a digest of it all: the same mark, the same result.
        code: the part of it that is code, by module.
        stamps: what changes when a file of the code is written, even if its old content comes back.
        files: where the code is.
    """

    mark: str
    code: Mapping[str, str]
    stamps: Mapping[str, tuple[int, ...]]
    files: CodeFiles


def identity(step: Step, notebook: Path, parameters: Mapping[str, Any]) -> Identity:
    """What decides a step's result, as it is now.

    Args:
        step: the step.
        notebook: the notebook's file.
        parameters: ``step.params`` and the uids of its inputs.

    Raises:
        ChainError: it is not a readable notebook.
    """
    files = code_of(notebook, parameters)
    stamps, code = files.stamps(), files.digests()
    parts = {
        "notebook": step.notebook,
        "source": source_digest(notebook),
        "parameters": dict(parameters),
        "external": [sha256(path) for path in step.external],
        "code": code,
    }
    mark = hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()
    return Identity(mark, code, stamps, files)


def fingerprint(step: Step, notebook: Path, parameters: Mapping[str, Any]) -> str:
    """The mark of :func:`identity`."""
    return identity(step, notebook, parameters).mark


def require_parameters(step: Step, notebook: Path) -> None:
    """Check that the notebook's parameters cell has every parameter that the step sets.

    Papermill would pass an unknown one on, to no effect.

    Raises:
        ChainError: one is unknown; the nearest are named.
    """
    known = defaults(notebook)
    for name in (*step.params, *step.inputs, *step.settings):
        if name not in known:
            raise ChainError(f"The notebook has no parameter {name!r}", where=step.notebook, fix=nearest(name, known))


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
