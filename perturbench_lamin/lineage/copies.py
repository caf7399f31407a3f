"""Local copies of files in remote storage."""

from __future__ import annotations

from pathlib import Path

import lamindb as ln
from lamindb_setup.core.hashing import hash_file


def local_copy(artifact: ln.Artifact) -> Path:
    """The local file of an artifact; of one in remote storage its copy in LaminDB's cache. Not recorded as an input.

    LaminDB takes a copy to be current by its time alone. One that is not what was registered, such as an altered copy
    or that of a version before, is fetched again: what the storage holds counts.

    Raises:
        FileNotFoundError: the storage does not have the file.
    """
    is_remote = not isinstance(artifact.path, Path)
    if is_remote and not artifact.path.exists():  # LaminDB would give the copy that it has
        raise FileNotFoundError(str(artifact.path))
    path = Path(artifact.cache(is_run_input=False, mute=True))
    if is_remote and path.is_file() and artifact.hash and hash_file(path)[1] != artifact.hash:
        path.unlink()
        path = Path(artifact.cache(is_run_input=False, mute=True))
    return path
