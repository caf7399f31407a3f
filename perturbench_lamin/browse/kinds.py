"""The kinds of artifacts that a reader tells apart, by the folder of their key."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from perturbench_lamin.browse.snapshot import ArtifactRecord


@dataclass(frozen=True)
class Kind:
    """A kind of artifact.

    Attributes:
        name: a word for code, also its class in the style sheet.
        title: a word for readers.
        plural: its heading.
    """

    name: str
    title: str
    plural: str


OTHER = Kind("other", "Other file", "Other files")
RUN_FILE = Kind("runfile", "Run file", "Files of runs")
KINDS: Mapping[str, Kind] = {
    "raw": Kind("raw", "Raw file", "Raw files"),
    "curated": Kind("curated", "Curated data", "Curated data"),
    "splits": Kind("split", "Split", "Splits"),
    "models": Kind("model", "Checkpoint", "Checkpoints"),
    "predictions": Kind("prediction", "Prediction", "Predictions"),
    "metrics": Kind("metrics", "Metrics", "Metrics"),
    "leaderboards": Kind("leaderboard", "Leaderboard", "Leaderboards"),
}
"""By the first folder of the key, see :mod:`perturbench_lamin.lineage.keys`; in the order of the chain."""


def kind_of(artifact: ArtifactRecord) -> Kind:
    """The kind of an artifact."""
    if artifact.is_of_a_run:
        return RUN_FILE
    return KINDS.get(artifact.key.partition("/")[0], OTHER)
