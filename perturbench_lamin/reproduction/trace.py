"""From an artifact back through its lineage to a plan of what is to be executed again."""

from __future__ import annotations

import heapq
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import lamindb as ln

from perturbench_lamin.errors import InputError, some
from perturbench_lamin.lineage import artifacts
from perturbench_lamin.lineage.features import plain_values
from perturbench_lamin.lineage.graph import step_name
from perturbench_lamin.lineage.intact import local_copy, source_trouble, trouble_of
from perturbench_lamin.lineage.runs import CODE, PYTHON
from perturbench_lamin.reproduction.environment import packages
from perturbench_lamin.reproduction.plan import (
    GIVEN_FOLDERS,
    GivenFile,
    Plan,
    RecordedCode,
    RecordedFile,
    RecordedStep,
    Start,
)


def find(key_or_uid: str) -> ln.Artifact:
    """The artifact of that key or uid.

    Raises:
        InputError: there is none; the nearest keys are named, or what a run of that uid made.
    """
    try:
        return artifacts.get(key_or_uid)
    except InputError as error:
        run = ln.Run.filter(uid=key_or_uid).first()
        if run is None:
            raise
        made = [f"{one.key} ({one.uid})" for one in (*run.output_artifacts.all(), *run.recreated_artifacts.all())]
        raise InputError(
            f"{key_or_uid!r} is a run, not an artifact", where=error.where, fix=f"It made {some(made)}."
        ) from error


def trace(target: ln.Artifact, start: Start = "deposit", *, download: bool = True) -> Plan:
    """The plan that makes an artifact again.

    Args:
        target: the artifact.
        start: from the deposited files on, or with raw or curated artifacts as they were recorded.
        download: get files that lie in the cloud, to see whether they are intact.

    Raises:
        InputError: there is nothing to execute: the artifact is where it starts, or no notebook made it.
    """
    walk = _Walk(start, download)
    walk.visit(target)
    if target.uid in walk.given:
        raise InputError(
            f"Nothing to reproduce: {target.key} is taken as recorded ({walk.given[target.uid].why})", where=target.uid
        )
    steps = tuple(walk.steps[pk] for pk in walk.order())
    return Plan(walk.file(target), start, steps, tuple(walk.given[uid] for uid in sorted(walk.given, key=walk.key)))


class _Walk:
    """The state of one walk back through the lineage."""

    def __init__(self, start: Start, download: bool) -> None:
        self.start, self.download = start, download
        self.given: dict[str, GivenFile] = {}
        self.steps: dict[int, RecordedStep] = {}
        self.needs: dict[int, set[int]] = {}
        self.makers: dict[str, int] = {}
        self._files: dict[str, RecordedFile] = {}

    def visit(self, artifact: ln.Artifact) -> int | None:
        """Plan for an artifact; return the run that makes it, or None where it is given."""
        if artifact.uid in self.given:
            return None
        if artifact.uid not in self.makers:
            run, why = self._maker(artifact)
            if run is None:
                self.given[artifact.uid] = GivenFile(self.file(artifact), why)
                return None
            self.makers[artifact.uid] = run.pk
            if run.pk not in self.needs:
                self._plan(run)
        return self.makers[artifact.uid]

    def order(self) -> list[int]:
        """The runs so that each comes after those it needs, otherwise as they were recorded."""
        left = {pk: set(needs) for pk, needs in self.needs.items()}
        ready = [pk for pk, needs in left.items() if not needs]
        heapq.heapify(ready)
        done: list[int] = []
        while ready:
            pk = heapq.heappop(ready)
            done.append(pk)
            for other, needs in left.items():
                if pk in needs:
                    needs.remove(pk)
                    if not needs:
                        heapq.heappush(ready, other)
        return done

    def file(self, artifact: ln.Artifact) -> RecordedFile:
        """The artifact as plain values; its file is looked at once."""
        if artifact.uid not in self._files:
            self._files[artifact.uid] = _recorded_file(artifact, self.download)
        return self._files[artifact.uid]

    def key(self, uid: str) -> tuple[str, str]:
        """What given files are sorted by."""
        return (self.given[uid].file.key, uid)

    def _maker(self, artifact: ln.Artifact) -> tuple[ln.Run | None, str]:
        """The run to repeat for an artifact, or None and why there is none.

        Its own run, unless that cannot be repeated or did not complete and one that made it again can and did.
        """
        if (artifact.key or "").startswith(GIVEN_FOLDERS[self.start]):
            return None, f"--from {self.start}"
        if artifact.run is None:
            return None, "no run made it"
        again = [run for run in artifact.recreating_runs.order_by("-pk") if _came_before(run, artifact)]
        candidates = [run for run in (artifact.run, *again) if not _obstacle(run)]
        completed = [run for run in candidates if run.status == "completed"]
        chosen = next(iter([*completed, *candidates]), None)
        return chosen, "" if chosen else _obstacle(artifact.run)

    def _plan(self, run: ln.Run) -> None:
        self.needs[run.pk] = set()
        inputs = list(run.input_artifacts.order_by("pk"))
        makers = [self.visit(artifact) for artifact in inputs]
        self.needs[run.pk] = {pk for pk in makers if pk is not None}
        made = [*run.output_artifacts.order_by("pk"), *run.recreated_artifacts.order_by("pk")]
        outputs = {one.uid: self.file(one) for one in made if one.key and one.kind != "__lamindb_run__"}
        self.steps[run.pk] = _recorded_step(run, [one.uid for one in inputs], tuple(outputs.values()))


def _obstacle(run: ln.Run) -> str:
    """Why a run cannot be executed again; empty where it can."""
    transform = run.transform
    if transform.kind != "notebook":
        return f"made by a {transform.kind} ({transform.key}), not by a notebook"
    if not transform.source_code:
        return f"the source of {transform.key} was not kept"
    if source_trouble(transform):
        return f"the source of {transform.key} is not what ran: it was edited, or LaminDB blanked a secret"
    return ""


def _came_before(run: ln.Run, artifact: ln.Artifact) -> bool:
    """Whether all that a run read was there before the artifact: else it may have read what was made of it."""
    return not run.input_artifacts.filter(created_at__gte=artifact.created_at).exists()


def _recorded_step(run: ln.Run, inputs: list[str], outputs: tuple[RecordedFile, ...]) -> RecordedStep:
    params = run.params or {}
    return RecordedStep(
        name=step_name(run.transform.key, params),
        run=run.uid,
        status=run.status,
        transform=run.transform.key,
        transform_uid=run.transform.uid,
        title=run.transform.description or "",
        source=run.transform.source_code,
        params=params,
        inputs=tuple(inputs),
        outputs=outputs,
        seconds=(run.finished_at - run.started_at).total_seconds() if run.finished_at else None,
        packages=_packages(run),
        python=str((run.extra_data or {}).get(PYTHON, "")),
        code=RecordedCode(**run.extra_data[CODE]) if CODE in (run.extra_data or {}) else None,
        sources=_sources(run),
        notes=(*_status_notes(run), *_outside(params)),
    )


def _status_notes(run: ln.Run) -> list[str]:
    return [] if run.status == "completed" else [f"the recorded run did not complete: it is {run.status}"]


def _outside(params: Mapping[str, Any]) -> list[str]:
    """Files outside the lineage that parameters name: the record does not hold their content."""
    values = [each for value in params.values() for each in (value.values() if isinstance(value, dict) else (value,))]
    texts = [value for value in values if isinstance(value, str) and "/" in value and len(value) < 1000]
    return [f"reads {text}, a file outside the lineage" for text in texts if Path(text).is_file()]


def _packages(run: ln.Run) -> dict[str, str]:
    if run.environment is None or not run.environment.path.exists():
        return {}
    return packages(local_copy(run.environment).read_text(encoding="utf-8"))


def _sources(run: ln.Run) -> RecordedFile | None:
    """The kept copy of the code that a run ran, if there is one."""
    uid = (run.extra_data or {}).get(CODE, {}).get("source")
    kept = ln.Artifact.filter(uid=uid).one_or_none() if uid else None
    return _recorded_file(kept, download=True) if kept else None


def _recorded_file(artifact: ln.Artifact, download: bool) -> RecordedFile:
    trouble = trouble_of(artifact, download=download)
    at_hand = not trouble and (download or isinstance(artifact.path, Path))
    return RecordedFile(
        uid=artifact.uid,
        key=artifact.key or "",
        path=str(local_copy(artifact) if at_hand else artifact.path),
        hash=artifact.hash or "",
        suffix=artifact.suffix,
        description=artifact.description or "",
        kind=artifact.kind or "dataset",
        features=plain_values(artifact),
        trouble=trouble,
        hash_type=artifact._hash_type or "",
    )
