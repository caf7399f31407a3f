"""What the pages of LaminHub would show empty: for each record, what is not filled in."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import lamindb as ln
from lamindb.models import Block

Check = Callable[[Any], bool]
"""Whether a record has what is asked."""


@dataclass(frozen=True)
class Missing:
    """Something that a record lacks.

    Attributes:
        registry: such as ``Artifact``.
        name: the record's key or name.
        uid: the record's.
        what: such as ``description``.
    """

    registry: str
    name: str
    uid: str
    what: str


def missing(artifacts: Iterable[ln.Artifact] | None = None) -> list[Missing]:
    """What is not filled in of artifacts and of all they refer to: runs, notebooks, schemas, features, projects.

    Args:
        artifacts: which; None: all that have a key.

    Returns:
        One entry a gap, by registry and name; empty where every page is full.
    """
    chosen = list(artifacts if artifacts is not None else ln.Artifact.filter(key__isnull=False))
    chosen = [one for one in chosen if one.kind != "__lamindb_run__"]
    found = [gap for record in _records(chosen) for gap in _gaps(record)]
    if not Block.filter(key="README.md", is_latest=True).exists():
        found.append(Missing("Instance", ln.setup.settings.instance.slug, "", "README"))
    return sorted(set(found), key=lambda gap: (gap.registry, gap.name, gap.uid, gap.what))


def _records(artifacts: list[ln.Artifact]) -> Iterator[Any]:
    yield from artifacts
    runs = {run.pk: run for one in artifacts for run in (one.run, *one.recreating_runs.all()) if run is not None}
    yield from runs.values()
    yield from {run.transform_id: run.transform for run in runs.values()}.values()
    yield from {one.schema_id: one.schema for one in artifacts if one.schema is not None}.values()
    yield from {project.pk: project for one in artifacts for project in one.projects.all()}.values()
    yield from {label.pk: label for one in artifacts for label in one.ulabels.all()}.values()
    values = (value for one in artifacts for value in one.json_values.select_related("feature"))
    yield from {value.feature_id: value.feature for value in values}.values()


def _gaps(record: Any) -> Iterator[Missing]:
    registry = type(record).__name__
    name = getattr(record, "key", None) or getattr(record, "name", None) or record.uid
    for what, check in CHECKS[registry].items():
        if not check(record):
            yield Missing(registry, str(name), record.uid, what)


def _is_notebook(transform: ln.Transform) -> bool:
    return bool(transform.kind == "notebook")


def _has_readme(project: ln.Project) -> bool:
    return bool(project.ablocks.filter(kind="readme", is_latest=True).exclude(content="").exists())


def _has_features(artifact: ln.Artifact) -> bool:
    return bool(artifact.json_values.exists())


def _has_observations(artifact: ln.Artifact) -> bool:
    return bool(not artifact.key.startswith("curated/") or artifact.n_observations)


CHECKS: Mapping[str, Mapping[str, Check]] = {
    "Artifact": {
        "description": lambda one: bool(one.description),
        "kind": lambda one: bool(one.kind),
        "run": lambda one: one.run is not None,
        "features": _has_features,
        "project": lambda one: one.projects.exists(),
        "label of its dataset": lambda one: one.ulabels.exists(),
        "number of observations": _has_observations,
    },
    "Run": {
        "name": lambda one: bool(one.name),
        "end": lambda one: one.finished_at is not None,
        "report": lambda one: not _is_notebook(one.transform) or one.report is not None,
        "environment": lambda one: not _is_notebook(one.transform) or one.environment is not None,
        "project": lambda one: one.projects.exists(),
    },
    "Transform": {
        "description": lambda one: bool(one.description),
        "source code": lambda one: not _is_notebook(one) or bool(one.source_code),
        "project": lambda one: one.projects.exists(),
    },
    "Schema": {"description": lambda one: bool(one.description)},
    "Feature": {"description": lambda one: bool(one.description)},
    "Project": {"description": lambda one: bool(one.description), "README": _has_readme},
    "ULabel": {"description": lambda one: bool(one.description)},
}
"""What every record of a registry must have."""
