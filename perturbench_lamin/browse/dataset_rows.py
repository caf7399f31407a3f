"""The datasets of the catalog and of the instance, as the front page lists them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from perturbench_lamin.browse.kinds import KINDS, kind_of
from perturbench_lamin.browse.snapshot import ArtifactRecord
from perturbench_lamin.catalog.dataset import Dataset
from perturbench_lamin.catalog.datasets import all_datasets


@dataclass(frozen=True)
class DatasetRow:
    """A dataset.

    Attributes:
        name: in the catalog, or as the instance's keys say.
        entry: of the catalog; None for a dataset that it does not have.
        curated: the latest curated file; None where the instance has none.
        files: its latest artifacts by kind, all but checkpoints and what came from them.
    """

    name: str
    entry: Dataset | None
    curated: ArtifactRecord | None = None
    files: Mapping[str, list[ArtifactRecord]] = field(default_factory=dict)

    def split_of(self, task: str) -> ArtifactRecord | None:
        """The latest split of a task; None where the instance has none."""
        return next((one for one in self.files.get("split", []) if _task_of(one) == task), None)

    @property
    def tasks(self) -> list[str]:
        """The catalog's tasks, then those that only the instance has."""
        own = [_task_of(one) for one in self.files.get("split", [])]
        return list(dict.fromkeys([*(task.name for task in (self.entry.tasks if self.entry else ())), *own]))

    @property
    def is_here(self) -> bool:
        """Whether the instance has anything of it."""
        return any(self.files.values())

    @property
    def cells(self) -> int | None:
        """Of the curated file; else as the catalog expects."""
        own = self.curated.value("n_cells") if self.curated else None
        if isinstance(own, int):
            return own
        return self.entry.curated.cells if self.entry else None

    @property
    def is_simulated(self) -> bool:
        """Whether the instance's data stand in for the real ones."""
        shown = [self.curated] if self.curated else [one for group in self.files.values() for one in group]
        return any(one.value("simulated") is True for one in shown)


def dataset_rows(artifacts: Mapping[str, ArtifactRecord]) -> list[DatasetRow]:
    """The catalog's datasets in its order, then those that only the instance has."""
    known = all_datasets()
    by_dataset: dict[str, dict[str, list[ArtifactRecord]]] = {name: {} for name in known}
    for artifact in artifacts.values():
        name = dataset_of(artifact)
        if name and artifact.is_latest and not artifact.trashed:
            by_dataset.setdefault(name, {}).setdefault(kind_of(artifact).name, []).append(artifact)
    return [_row(name, known.get(name), files) for name, files in by_dataset.items()]


def _row(name: str, entry: Dataset | None, files: dict[str, list[ArtifactRecord]]) -> DatasetRow:
    listed = {kind: sorted(group, key=lambda one: one.key) for kind, group in files.items()}
    return DatasetRow(name, entry, next(iter(listed.get("curated", [])), None), listed)


def _task_of(split: ArtifactRecord) -> str:
    return str(split.value("task") or split.key.rsplit("/", 1)[-1].removesuffix(".gz").removesuffix(".csv"))


def dataset_of(artifact: ArtifactRecord) -> str:
    """The feature says it; a key in a folder of the chain says it as well."""
    named = artifact.value("dataset")
    if isinstance(named, str):
        return named
    parts = artifact.key.split("/")
    if parts[0] not in KINDS or len(parts) < 2:
        return ""
    return parts[1].removesuffix(".h5ad")
