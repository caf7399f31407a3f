"""Whether an artifact's file is still there, and still what was registered."""

from __future__ import annotations

import os
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from enum import StrEnum

from perturbench_lamin.browse.snapshot import ArtifactRecord
from perturbench_lamin.lineage.intact import is_registered

READERS = 4
SHOWN_BYTES = 5_000_000
"""Files up to this size whose content a page shows are always hashed: altered content is never shown as real."""
SHOWN_SUFFIXES = (".csv", ".html", ".json", ".md", ".txt", ".yaml", ".yml", ".png", ".jpg", ".jpeg", ".svg")


class FileState(StrEnum):
    """What is known of an artifact's file."""

    PRESENT = "present"
    VERIFIED = "verified"
    GONE = "gone"
    ALTERED = "altered"
    REMOTE = "remote"

    @property
    def is_bad(self) -> bool:
        """Whether the file must not be used."""
        return self in (FileState.GONE, FileState.ALTERED)


def file_states(artifacts: Iterable[ArtifactRecord], *, verify: bool) -> dict[str, FileState]:
    """The state of each file, by uid.

    Existence and size are always looked at. Content is where a page shows it, else only when asked, because all bytes
    must be read for it. Of remote storage, files that were fetched are looked at.

    Args:
        artifacts: whose files.
        verify: whether to hash the content and compare.
    """
    listed = list(artifacts)
    hashed = [one for one in listed if verify or is_shown(one)]
    with ThreadPoolExecutor(READERS) as readers:  # hashing leaves the interpreter's lock
        states = dict(zip((one.uid for one in hashed), readers.map(verified, hashed), strict=True))
    return {one.uid: states[one.uid] if one.uid in states else look(one) for one in listed}


def is_shown(artifact: ArtifactRecord) -> bool:
    """Whether a page shows the content of the file."""
    return artifact.suffix in SHOWN_SUFFIXES and artifact.size is not None and artifact.size <= SHOWN_BYTES


def look(artifact: ArtifactRecord) -> FileState:
    """Existence and, of a file, its size."""
    if artifact.path is None:
        return FileState.REMOTE
    try:
        found = artifact.path.stat()
    except OSError:
        return FileState.GONE
    is_folder = os.path.isdir(artifact.path)  # noqa: PTH112
    if artifact.size is not None and not is_folder and found.st_size != artifact.size:
        return FileState.ALTERED
    return FileState.PRESENT


def verified(artifact: ArtifactRecord) -> FileState:
    """As :func:`look`, and the content."""
    state = look(artifact)
    if state is not FileState.PRESENT or artifact.path is None or not artifact.digest:
        return state
    is_same = is_registered(artifact.path, artifact.digest, artifact.hash_type, artifact.value("sha256"))
    return FileState.VERIFIED if is_same else FileState.ALTERED
