"""Checkpoints by model, with the metrics that the lineage says were computed from each."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

from perturbench_lamin.browse.kinds import KINDS, kind_of
from perturbench_lamin.browse.neighbourhood import Lineage
from perturbench_lamin.browse.snapshot import ArtifactRecord

METRIC = "Mean of the metric over all conditions of the test split"
"""The description of a metric's feature, see :data:`perturbench_lamin.lineage.features.METRIC_DESCRIPTION`."""
UNNAMED = "unnamed model"


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint and how it scored.

    Attributes:
        artifact: its file.
        model: name in the registry of models.
        board: dataset and task.
        seed: of the training; empty where it is not recorded.
        metrics: value and uid of the metrics artifact it stands in, by metric.
    """

    artifact: ArtifactRecord
    model: str
    board: str
    seed: str
    metrics: Mapping[str, tuple[float, str]]


def checkpoints(lineage: Lineage) -> dict[str, list[Checkpoint]]:
    """All checkpoints by model, sorted by dataset, task, seed and time of registration."""
    found: dict[str, list[Checkpoint]] = defaultdict(list)
    for artifact in lineage.snapshot.artifacts.values():
        if kind_of(artifact) is KINDS["models"] or (artifact.kind == "model" and not artifact.is_of_a_run):
            checkpoint = _checkpoint(artifact, lineage)
            found[checkpoint.model].append(checkpoint)
    return {name: sorted(found[name], key=lambda one: (one.board, one.seed)) for name in sorted(found)}


def metric_names(listed: list[Checkpoint]) -> list[str]:
    """All metrics of some checkpoints, sorted."""
    return sorted({name for one in listed for name in one.metrics})


def _checkpoint(artifact: ArtifactRecord, lineage: Lineage) -> Checkpoint:
    about = [artifact.value(name) for name in ("dataset", "task")]
    seed = artifact.value("seed")
    return Checkpoint(
        artifact,
        model=str(artifact.value("model") or UNNAMED),
        board=" · ".join(str(one) for one in about if one),
        seed="" if seed is None else str(seed),
        metrics=_metrics(artifact, lineage),
    )


def _metrics(artifact: ArtifactRecord, lineage: Lineage) -> dict[str, tuple[float, str]]:
    """Of each run that read the checkpoint; the last one counts."""
    snapshot, found = lineage.snapshot, {}
    for run in (snapshot.runs[uid] for uid in lineage.readers.get(artifact.uid, ())):
        for made in (snapshot.artifacts[uid] for uid in (*run.outputs, *run.recreated) if uid in snapshot.artifacts):
            for one in made.values:
                if one.about == METRIC and isinstance(one.value, int | float):
                    found[one.feature] = (float(one.value), made.uid)
    return found
