"""Read an instance in bulk: a query a registry or link, however many records there are."""

from __future__ import annotations

import warnings
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import lamindb as ln
from lamindb.core.storage.paths import auto_storage_key_from_artifact
from lamindb.models.run import RUN_CODE_TO_STATUS

from perturbench_lamin.browse.files_state import is_shown
from perturbench_lamin.browse.read_annotations import labels_of_artifacts, schemas, values_of_artifacts, values_of_runs
from perturbench_lamin.browse.snapshot import ArtifactRecord, RunRecord, Snapshot, TransformRecord
from perturbench_lamin.lineage.intact import local_copy
from perturbench_lamin.lineage.runs import PROBLEM

TRASH = -1
CODE_FIELDS = ("commit", "clean", "source", "moved")
"""Of a run's record of its code."""


def read_instance(*, fetch_all: bool = False) -> Snapshot:
    """Everything that the site shows, from the instance that :mod:`lamindb` is connected to.

    Records in LaminDB's trash are read, too, and marked: what was made from them must not lose its past.
    Of files in remote storage, those whose content a page shows are fetched to LaminDB's cache.

    Args:
        fetch_all: fetch the other files in remote storage, too.
    """
    return Snapshot(
        name=str(ln.setup.settings.instance.slug),
        artifacts=_artifacts(fetch_all),
        runs=_runs(),
        transforms=_transforms(),
    )


def _artifacts(fetch_all: bool) -> dict[str, ArtifactRecord]:
    values, labels, kept_schemas = values_of_artifacts(), labels_of_artifacts(), schemas()
    storages = {one.id: one for one in ln.Storage.objects.all()}
    roots = {key: str(one.root) for key, one in storages.items()}
    wanted = {}
    runs, users = dict(ln.Run.objects.values_list("id", "uid")), dict(ln.User.objects.values_list("id", "handle"))
    records = {}
    for one in ln.Artifact.objects.order_by("id"):
        location = f"{roots[one.storage_id].rstrip('/')}/{auto_storage_key_from_artifact(one)}"
        records[one.uid] = ArtifactRecord(
            uid=one.uid,
            key=one.key or "",
            description=one.description or "",
            kind=one.kind or "",
            suffix=str(one.suffix or ""),
            size=one.size,
            digest=one.hash or "",
            hash_type=one._hash_type or "",
            n_files=one.n_files,
            created=_utc(one.created_at),
            created_by=users.get(one.created_by_id, ""),
            is_latest=one.is_latest,
            trashed=one.branch_id == TRASH,
            run=runs.get(one.run_id, ""),
            path=None if "://" in location else Path(location),
            location=location,
            schema=kept_schemas.get(one.schema_id),
            values=values.get(one.id, ()),
            labels=labels.get(one.id, ()),
        )
        if records[one.uid].path is None and (fetch_all or is_shown(records[one.uid])):
            one.storage = storages[one.storage_id]  # known: no query for each
            wanted[one.uid] = one
    return records | {uid: replace(records[uid], path=path) for uid, path in _fetched(wanted).items()}


def _fetched(artifacts: Mapping[str, ln.Artifact]) -> dict[str, Path]:
    """Local copies by uid, as far as the storage answers; of a file that it does not have, a path where nothing is."""
    paths: dict[str, Path] = {}
    for uid, artifact in artifacts.items():
        try:
            paths[uid] = local_copy(artifact)
        except FileNotFoundError:
            paths[uid] = Path(str(artifact.path))
        except Exception as error:  # of the storage's client: no network, or no right to read
            warnings.warn(f"Files in {artifact.storage.root} are not shown: {error}", stacklevel=2)
            break
    return paths


def _runs() -> dict[str, RunRecord]:
    values = values_of_runs()
    inputs = _pairs(ln.Artifact.input_of_runs.through)
    recreated = _pairs(ln.Artifact.recreating_runs.through)
    outputs = _grouped(ln.Artifact.objects.filter(run__isnull=False).order_by("id").values_list("run_id", "uid"))
    fields = ("transform__uid", "environment__uid", "report__uid", "initiated_by_run__uid", "created_by__handle")
    names = (
        "id", "uid", "name", "_status_code", "started_at", "finished_at", "params", "reference", "cli_args", *fields,
        *(f"extra_data__code__{name}" for name in CODE_FIELDS), f"extra_data__{PROBLEM}",
    )  # fmt: skip
    return {
        row["uid"]: RunRecord(
            uid=row["uid"],
            transform=row["transform__uid"] or "",
            name=row["name"] or "",
            status=RUN_CODE_TO_STATUS.get(row["_status_code"], f"status {row['_status_code']}"),
            started=_utc(row["started_at"]),
            finished=_utc(row["finished_at"]),
            params=row["params"] or {},
            created_by=row["created_by__handle"] or "",
            environment=row["environment__uid"] or "",
            report=row["report__uid"] or "",
            parent=row["initiated_by_run__uid"] or "",
            reference=row["reference"] or "",
            command=row["cli_args"] or "",
            code=_code(row),
            problem=str(row[f"extra_data__{PROBLEM}"] or ""),
            values=values.get(row["id"], ()),
            inputs=tuple(inputs.get(row["id"], ())),
            outputs=tuple(outputs.get(row["id"], ())),
            recreated=tuple(recreated.get(row["id"], ())),
        )
        for row in ln.Run.objects.order_by("id").values(*names)
    }


def _code(row: dict[str, Any]) -> dict[str, Any]:
    """What a page says of a run's code; its many modules are not read."""
    found = {name: row[f"extra_data__code__{name}"] for name in CODE_FIELDS}
    return {} if found["commit"] is None else found


def _transforms() -> dict[str, TransformRecord]:
    names = ("uid", "key", "kind", "description", "source_code", "is_latest", "reference")
    return {
        row["uid"]: TransformRecord(
            uid=row["uid"],
            key=row["key"] or "",
            kind=row["kind"] or "",
            description=row["description"] or "",
            source=row["source_code"] or "",
            is_latest=row["is_latest"],
            reference=row["reference"] or "",
        )
        for row in ln.Transform.objects.order_by("id").values(*names)
    }


def _pairs(through: Any) -> dict[int, list[str]]:
    return _grouped(through.objects.order_by("run_id", "artifact_id").values_list("run_id", "artifact__uid"))


def _grouped(rows: Iterable[tuple[int, str]]) -> dict[int, list[str]]:
    groups: dict[int, list[str]] = defaultdict(list)
    for key, uid in rows:
        groups[key].append(uid)
    return groups


def _utc(moment: datetime | None) -> datetime | None:
    if moment is None:
        return None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
