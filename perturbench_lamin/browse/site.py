"""All that the pages draw from: the instance, its lineage, its files, its models and leaderboards."""

from __future__ import annotations

import hashlib
import re
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from perturbench_lamin.browse import words
from perturbench_lamin.browse.checkpoints import Checkpoint, checkpoints
from perturbench_lamin.browse.dataset_rows import DatasetRow, dataset_of, dataset_rows
from perturbench_lamin.browse.files_state import FileState
from perturbench_lamin.browse.kinds import KINDS, OTHER, Kind, kind_of
from perturbench_lamin.browse.neighbourhood import Lineage, Neighbourhood, neighbourhood
from perturbench_lamin.browse.snapshot import ArtifactRecord, RunRecord, Snapshot, TransformRecord


@dataclass(frozen=True)
class Site:
    """An instance as a site shows it.

    Attributes:
        snapshot: the instance.
        states: of its files, by uid.
        verified: whether all files were hashed.
    """

    snapshot: Snapshot
    states: Mapping[str, FileState]
    verified: bool = False

    @cached_property
    def lineage(self) -> Lineage:
        """Which run read and made what."""
        return Lineage.of(self.snapshot)

    @cached_property
    def data(self) -> list[ArtifactRecord]:
        """Artifacts that are not a run's own files, in the order of registration."""
        return [one for one in self.snapshot.artifacts.values() if not one.is_of_a_run]

    @cached_property
    def latest(self) -> dict[Kind, list[ArtifactRecord]]:
        """The latest versions by kind, sorted by key."""
        found: dict[Kind, list[ArtifactRecord]] = {kind: [] for kind in (*KINDS.values(), OTHER)}
        for one in self.data:
            if one.is_latest and not one.trashed:
                found[kind_of(one)].append(one)
        return {kind: sorted(group, key=lambda one: (one.key, one.uid)) for kind, group in found.items() if group}

    @cached_property
    def versions(self) -> dict[str, list[ArtifactRecord]]:
        """All versions by what they share of their uid, newest first."""
        found: dict[str, list[ArtifactRecord]] = defaultdict(list)
        for one in self.data:
            found[one.stem].append(one)
        return {stem: sorted(group, key=lambda one: one.uid, reverse=True) for stem, group in found.items()}

    @cached_property
    def datasets(self) -> list[DatasetRow]:
        """The datasets of the catalog, then others; last those of which the instance has nothing."""
        return sorted(dataset_rows(self.snapshot.artifacts), key=lambda row: not row.is_here)

    @cached_property
    def models(self) -> dict[str, list[Checkpoint]]:
        """Checkpoints by model."""
        return checkpoints(self.lineage)

    @cached_property
    def checkpoint_of(self) -> dict[str, Checkpoint]:
        """Checkpoints by the uid of their artifact."""
        return {one.artifact.uid: one for listed in self.models.values() for one in listed}

    @cached_property
    def children(self) -> dict[str, list[RunRecord]]:
        """Runs by the run that started them."""
        found: dict[str, list[RunRecord]] = defaultdict(list)
        for run in self.snapshot.runs.values():
            found[run.parent].append(run)
        return found

    @cached_property
    def runs_of(self) -> dict[str, list[RunRecord]]:
        """Runs by transform, newest first."""
        found: dict[str, list[RunRecord]] = defaultdict(list)
        for run in reversed(list(self.snapshot.runs.values())):
            found[run.transform].append(run)
        return found

    @cached_property
    def bad_files(self) -> list[ArtifactRecord]:
        """Artifacts whose file is gone or altered."""
        return [one for one in self.data if self.states[one.uid].is_bad]

    @cached_property
    def failed_runs(self) -> list[RunRecord]:
        """Runs that did not complete, newest first; not the run of a chain that failed because one of its runs did."""
        bad = [run for run in reversed(list(self.snapshot.runs.values())) if words.status_class(run) == "bad"]
        told = {run.parent for run in bad}
        return [run for run in bad if run.uid not in told]

    def around(self, uid: str) -> Neighbourhood:
        """The lineage around an artifact or run."""
        return neighbourhood(self.lineage, uid)

    def artifacts(self, uids: tuple[str, ...]) -> list[ArtifactRecord]:
        """Those that the instance still has, but for runs' own files."""
        found = (self.snapshot.artifacts.get(uid) for uid in uids)
        return [one for one in found if one is not None and not one.is_of_a_run]

    def transform(self, run: RunRecord) -> TransformRecord | None:
        """What a run ran."""
        return self.snapshot.transforms.get(run.transform)

    def run_title(self, run: RunRecord) -> str:
        """A run's name for readers."""
        return words.run_title(run, self.transform(run), self._about(run))

    def _about(self, run: RunRecord) -> dict[str, str]:
        """Dataset, task, model and seed of a run: of its parameters, else what all that it made, or read, agrees on."""
        sides = [self.artifacts((*run.outputs, *run.recreated)), self.artifacts(run.inputs)]
        return {name: _told(name, run, sides) for name in ("dataset", "task", "model", "seed")}


def _told(name: str, run: RunRecord, sides: list[list[ArtifactRecord]]) -> str:
    if isinstance(run.params.get(name), str | int):
        return str(run.params[name])
    for side in sides:
        found = {str(value) for one in side if (value := _own(name, one)) is not None}
        if found:
            return found.pop() if len(found) == 1 else ""
    return ""


def _own(name: str, artifact: ArtifactRecord) -> object:
    return (dataset_of(artifact) or None) if name == "dataset" else artifact.value(name)


def page_name(name: str) -> str:
    """A file name that is safe anywhere, and another one for another name."""
    safe = re.sub(r"[^A-Za-z0-9_-]+", "-", name)
    return safe if safe == name else f"{safe[:60]}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"
