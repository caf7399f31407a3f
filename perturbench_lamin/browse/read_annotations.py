"""Read in bulk what annotates artifacts and runs: feature values, labels of every registry, and schemas."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import lamindb as ln
from lamindb.models import SchemaComponent, SchemaFeature

from perturbench_lamin.browse.snapshot import Label, SchemaRecord, Value

ABOUT_THE_LINK = {"artifact", "feature", "run", "created_by"}
"""Foreign keys of a link that say who linked what; the one other is the label."""


def values_of_artifacts() -> dict[int, tuple[Value, ...]]:
    """Feature values by the artifact's number, sorted by feature."""
    return _values(ln.Artifact.json_values.through, "artifact_id")


def values_of_runs() -> dict[int, tuple[Value, ...]]:
    """Feature values by the run's number, sorted by feature."""
    return _values(ln.Run.json_values.through, "run_id")


def _values(through: Any, owner: str) -> dict[int, tuple[Value, ...]]:
    found: dict[int, list[Value]] = defaultdict(list)
    names = ("jsonvalue__feature__name", "jsonvalue__feature__description", "jsonvalue__value")
    for number, name, about, value in through.objects.order_by(owner, "id").values_list(owner, *names):
        found[number].append(Value(name, about or "", value))
    return {number: tuple(sorted(values, key=lambda one: one.feature)) for number, values in found.items()}


def labels_of_artifacts() -> dict[int, tuple[Label, ...]]:
    """Labels by the artifact's number, sorted by feature and name."""
    found: dict[int, list[Label]] = defaultdict(list)
    for link, name, target in _label_links():
        columns = {field.name for field in target._meta.fields}
        if "name" not in columns:
            continue
        ontology = [f"{name}__ontology_id"] if "ontology_id" in columns else []
        rows = link.objects.order_by("id").values_list("artifact_id", "feature__name", f"{name}__name", *ontology)
        for number, feature, label, *ontology_id in rows:
            identifier = (ontology_id[0] or "") if ontology_id else ""
            found[number].append(Label(feature or "", target.__name__, label or "", identifier))
    key = lambda one: (one.feature, one.registry, one.name)  # noqa: E731
    return {number: tuple(sorted(labels, key=key)) for number, labels in found.items()}


def _label_links() -> list[tuple[Any, str, Any]]:
    """Of each link from artifacts to a registry: the link, the name of its foreign key, and the registry."""
    links = []
    for relation in ln.Artifact._meta.related_objects:
        link = relation.related_model
        keys = {field.name: field.related_model for field in link._meta.fields if field.is_relation}
        others = sorted(set(keys) - ABOUT_THE_LINK)
        if relation.field.name == "artifact" and "feature" in keys and len(others) == 1:
            links.append((link, others[0], keys[others[0]]))
    return links


def schemas() -> dict[int, SchemaRecord]:
    """Schemas by their number, with the features of their slots."""
    features: dict[int, list[tuple[str, str, str]]] = defaultdict(list)
    names = ("feature__name", "feature___dtype_str", "feature__description")
    for number, *texts in SchemaFeature.objects.order_by("schema_id", "id").values_list("schema_id", *names):
        name, dtype, about = (text or "" for text in texts)
        features[number].append((name, dtype, about))
    slots: dict[int, list[tuple[str, int]]] = defaultdict(list)
    rows = SchemaComponent.objects.order_by("composite_id", "slot", "id")
    for number, slot, component in rows.values_list("composite_id", "slot", "component_id"):
        slots[number].append((slot or "", component))
    facts = {row["id"]: row for row in ln.Schema.objects.values("id", "name", "otype", "itype", "n_members")}
    return {number: _schema(number, facts, slots, features) for number in facts}


def _schema(number: int, facts: Any, slots: Any, features: Any) -> SchemaRecord:
    parts = [("", number), *slots.get(number, ())]
    rows = [(slot, facts[part]) for slot, part in parts[1:]]
    return SchemaRecord(
        name=facts[number]["name"] or "",
        otype=facts[number]["otype"] or "",
        slots=tuple((slot, row["name"] or "", row["itype"] or "", row["n_members"]) for slot, row in rows),
        features=tuple((slot, *one) for slot, part in parts for one in features.get(part, ())),
    )
