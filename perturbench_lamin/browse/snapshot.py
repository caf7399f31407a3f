"""What the site shows of an instance: plain records, read once, by uid."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Value:
    """A feature's value on an artifact or a run.

    Attributes:
        feature: its name.
        about: its description; empty where it has none.
        value: anything that JSON holds.
    """

    feature: str
    about: str
    value: Any


@dataclass(frozen=True)
class Label:
    """A record that annotates an artifact.

    Attributes:
        feature: under which; empty where none.
        registry: such as ``CellLine``.
        name: its name.
        ontology_id: empty where it has none.
    """

    feature: str
    registry: str
    name: str
    ontology_id: str


@dataclass(frozen=True)
class SchemaRecord:
    """A schema: its slots, and the features that it asks for.

    Attributes:
        name: of the schema.
        otype: what it describes, such as ``AnnData``.
        slots: slot, name of its schema, what its members are, how many.
        features: slot, name, data type, description.
    """

    name: str
    otype: str
    slots: tuple[tuple[str, str, str, int | None], ...] = ()
    features: tuple[tuple[str, str, str, str], ...] = ()


@dataclass(frozen=True)
class TransformRecord:
    """A version of a notebook, script or pipeline.

    Attributes:
        uid: LaminDB's; its first 12 characters are shared by all versions.
        key: such as ``training/train.ipynb``.
        kind: LaminDB's word, such as ``notebook``.
        description: empty where there is none.
        source: its code; empty where LaminDB has none.
        is_latest: whether no later version is there.
        reference: a link to where the code is kept; empty where there is none.
    """

    uid: str
    key: str
    kind: str
    description: str = ""
    source: str = ""
    is_latest: bool = True
    reference: str = ""


@dataclass(frozen=True)
class ArtifactRecord:
    """An artifact.

    Attributes:
        uid: LaminDB's; its first 16 characters are shared by all versions.
        key: its place in the instance; empty where it has none.
        description: empty where there is none.
        kind: LaminDB's word, such as ``dataset``; runs' own files are ``__lamindb_run__``.
        suffix: of the file.
        size: bytes; None where it is not known.
        digest: LaminDB's hash of the content; empty where there is none.
        hash_type: how ``digest`` was made.
        n_files: of a folder; None for a file.
        created: when it was registered, UTC.
        created_by: handle of who registered it.
        is_latest: whether no later version is there.
        trashed: whether it lies in LaminDB's trash.
        run: uid of the run that made it; empty where it is not known.
        path: where the file is if storage is local; None for other storage.
        location: the same as text, for any storage.
        schema: the schema it was validated with, if any.
        values: of its features.
        labels: records that annotate it.
    """

    uid: str
    key: str = ""
    description: str = ""
    kind: str = ""
    suffix: str = ""
    size: int | None = None
    digest: str = ""
    hash_type: str = ""
    n_files: int | None = None
    created: datetime | None = None
    created_by: str = ""
    is_latest: bool = True
    trashed: bool = False
    run: str = ""
    path: Path | None = None
    location: str = ""
    schema: SchemaRecord | None = None
    values: tuple[Value, ...] = ()
    labels: tuple[Label, ...] = ()

    @property
    def stem(self) -> str:
        """What all versions of it share."""
        return self.uid[:16]

    @property
    def is_of_a_run(self) -> bool:
        """Whether it is a run's own report or list of packages, rather than data."""
        return self.kind.startswith("__lamindb")

    def value(self, feature: str) -> Any:
        """A feature's value; None where it has none."""
        return next((one.value for one in self.values if one.feature == feature), None)


@dataclass(frozen=True)
class RunRecord:
    """A run.

    Attributes:
        uid: LaminDB's.
        transform: uid of the version that ran.
        name: empty where it has none.
        status: LaminDB's word, such as ``completed``.
        started: UTC.
        finished: UTC; None where it did not end.
        params: as recorded.
        created_by: handle of who ran it.
        environment: uid of the artifact with the installed packages; empty where there is none.
        report: uid of the executed notebook's page; empty where there is none.
        parent: uid of the run that started it; empty where none did.
        reference: such as the fingerprint that a chain keeps.
        command: of a command line; empty where there is none.
        code: the record of the code that it ran; empty where there is none.
        problem: why it failed; empty where that is not recorded.
        values: of its features.
        inputs: uids of the artifacts it read.
        outputs: uids of the artifacts it made.
        recreated: uids of the artifacts it made again with the same content.
    """

    uid: str
    transform: str
    name: str = ""
    status: str = "completed"
    started: datetime | None = None
    finished: datetime | None = None
    params: Mapping[str, Any] = field(default_factory=dict)
    created_by: str = ""
    environment: str = ""
    report: str = ""
    parent: str = ""
    reference: str = ""
    command: str = ""
    code: Mapping[str, Any] = field(default_factory=dict)
    problem: str = ""
    values: tuple[Value, ...] = ()
    inputs: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()
    recreated: tuple[str, ...] = ()

    @property
    def seconds(self) -> float | None:
        """How long it took; None where it did not end."""
        return (self.finished - self.started).total_seconds() if self.finished and self.started else None


@dataclass(frozen=True)
class Snapshot:
    """An instance as it was when it was read, each registry by uid in the order of registration."""

    name: str
    artifacts: Mapping[str, ArtifactRecord] = field(default_factory=dict)
    runs: Mapping[str, RunRecord] = field(default_factory=dict)
    transforms: Mapping[str, TransformRecord] = field(default_factory=dict)
