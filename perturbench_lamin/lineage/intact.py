"""Whether a file is still what was registered: the one notion of it, for all that is shown, kept or read."""

from __future__ import annotations

import base64
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from perturbench_lamin import remembered

if TYPE_CHECKING:
    import lamindb as ln

Trouble = Literal["", "gone", "altered"]

WHOLE, ENDS, FOLDER = "md5", "sha1-fl", "md5-d"
"""LaminDB's types of hash that are made of content: of all of a file, of its first and last 50 MiB, of a folder."""
OWN = "sha256"
"""Our type, where LaminDB's hash does not tell two files apart."""
OWN_LENGTH = 22
"""LaminDB keeps hashes of this length."""


def trouble_of(artifact: ln.Artifact, *, download: bool = True) -> Trouble:
    """What is wrong with an artifact's file: by SHA-256 where that was recorded, else by LaminDB's hash.

    LaminDB's hash covers the first and last 50 MiB of a large file alone, therefore such files have a SHA-256 besides.

    Args:
        artifact: a saved artifact.
        download: get a file that lies in the cloud and look at its content; else only whether it is there.
    """
    from perturbench_lamin.lineage.features import plain_values

    if not artifact.path.exists():
        return "gone"
    if not isinstance(artifact.path, Path) and not download:
        return ""
    checksum = plain_values(artifact).get("sha256")
    return "" if is_registered(local_copy(artifact), artifact.hash, artifact._hash_type, checksum) else "altered"


def local_copy(artifact: ln.Artifact) -> Path:
    """The local file of an artifact; of one in remote storage its copy in LaminDB's cache. Not recorded as an input.

    LaminDB takes a copy to be current by its time alone. One that is not what was registered, such as an altered copy
    or that of a version before, is fetched again: what the storage holds counts.

    Raises:
        FileNotFoundError: the storage does not have the file.
    """
    from perturbench_lamin.lineage.features import plain_values

    is_remote = not isinstance(artifact.path, Path)
    if is_remote and not artifact.path.exists():  # LaminDB would give the copy that it has
        raise FileNotFoundError(str(artifact.path))
    path = Path(artifact.cache(is_run_input=False, mute=True))
    checksum = plain_values(artifact).get("sha256") if is_remote else None
    if is_remote and path.exists() and not is_registered(path, artifact.hash, artifact._hash_type, checksum):
        shutil.rmtree(path) if path.is_dir() else path.unlink()
        path = Path(artifact.cache(is_run_input=False, mute=True))
    return path


def is_registered(path: Path, digest: str | None, how: str | None, checksum: object = None) -> bool:
    """Whether a file or folder has the content that was registered.

    Args:
        path: where it is.
        digest: LaminDB's ``hash``; None or empty where there is none.
        how: LaminDB's type of it.
        checksum: the SHA-256 of all of a file, where that was recorded.
    """
    if isinstance(checksum, str) and checksum and path.is_file():
        return remembered.sha256(path) == checksum
    if not digest or how not in (WHOLE, ENDS, FOLDER, OWN):  # such as a cloud's own mark of an upload
        return True
    return hash_of(path, how) == digest


def tells_all(how: str | None, checksum: object = None) -> bool:
    """Whether what was registered tells all of a file's content, so that a file that agrees is the same."""
    return how in (WHOLE, OWN) or bool(checksum)


def hash_of(path: Path, how: str | None = None) -> str:
    """The hash of a file or folder, as LaminDB keeps it.

    Args:
        path: where it is.
        how: the type of hash; None for the one that LaminDB chooses.
    """
    from lamindb_setup.core.hashing import hash_dir, hash_file

    if how == OWN:
        return own_hash(remembered.sha256(path))
    if path.is_dir():
        return str(hash_dir(path)[1])
    if how == WHOLE:
        return remembered.of_file(path, "lamindb md5", lambda file: str(hash_file(file, chunk_size=None)[1]))
    return remembered.of_file(path, "lamindb", lambda file: str(hash_file(file)[1]))


def own_hash(checksum: str) -> str:
    """A SHA-256 in the form of LaminDB's hashes, shortened to their length."""
    return base64.urlsafe_b64encode(bytes.fromhex(checksum)).decode()[:OWN_LENGTH]


def run_troubles(run: ln.Run) -> Iterator[str]:
    """What is wrong with the files of a run, in words: what it made, its report, its environment.

    Of files in the cloud, whether they are there.
    """
    for artifact in (*run.output_artifacts.all(), *run.recreated_artifacts.all()):
        if trouble := trouble_of(artifact, download=False):
            yield told(artifact.key or artifact.description or "an artifact", artifact.uid, trouble)
    yield from _own_files(run)


def record_troubles(run: ln.Run) -> Iterator[str]:
    """What is wrong with a run's report, environment and source, in words; what it never had is not told."""
    yield from _own_files(run)
    if trouble := source_trouble(run.transform):
        yield told(f"the kept source of {run.transform.key}", run.transform.uid, trouble)


def _own_files(run: ln.Run) -> Iterator[str]:
    for what, artifact in (("report", run.report), ("environment", run.environment)):
        if artifact is not None and (trouble := trouble_of(artifact, download=False)):
            yield told(f"the {what} of run {run.uid}", artifact.uid, trouble)


def source_trouble(transform: ln.Transform) -> Trouble:
    """Whether the source that LaminDB keeps is what ran: it can be edited, and LaminDB blanks what looks secret."""
    from lamindb_setup.core.hashing import hash_string

    is_same = not transform.source_code or not transform.hash or hash_string(transform.source_code) == transform.hash
    return "" if is_same else "altered"


def told(what: str, uid: str, trouble: Trouble) -> str:
    """A sentence's end: what is gone or altered."""
    return f"{what} ({uid}) {'is gone' if trouble == 'gone' else 'was altered since it was registered'}"
