"""Save and load artifacts so that every file has a run, a description and features."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import lamindb as ln

from perturbench_lamin import remembered
from perturbench_lamin.errors import InputError, IntegrityError, nearest, some
from perturbench_lamin.files import atomic_path
from perturbench_lamin.lineage.features import FEATURES, annotate, plain_values
from perturbench_lamin.lineage.intact import OWN, WHOLE, hash_of, local_copy, own_hash, told, trouble_of
from perturbench_lamin.lineage.project import label

OF_RUNS = "__lamindb_run__"
"""LaminDB's kind of files that are about runs, not data."""
STEM_LENGTH = 16
"""Of a uid: so much is the same in all versions of an artifact."""
PARTIAL_ABOVE = 50 << 20
"""Of larger files LaminDB hashes the first and last so many bytes alone."""


def save(
    path: str | Path,
    key: str,
    description: str,
    *,
    features: Mapping[str, Any] | None = None,
    kind: str = "dataset",
    run: ln.Run | None = None,
) -> ln.Artifact:
    """Register a file under ``key`` as an output of the current run.

    The same content under the same key is the same artifact: the run is then recorded as having re-created it.
    (LaminDB alone would also fold equal files under *different* keys into one, and lose the second key.)
    Of a large file LaminDB hashes the first and last 50 MiB alone: its SHA-256 decides, and becomes a feature.

    Args:
        path: the file.
        key: its place in the instance, from :mod:`perturbench_lamin.lineage.keys`.
        description: one plain sentence.
        features: values to annotate a new artifact with, see :data:`~perturbench_lamin.lineage.features.FEATURES`.
        kind: LaminDB's kind: ``dataset`` or ``model``.
        run: the run that it is an output of; the current one by default.
    """
    run = run or ln.context.run
    path = Path(path)
    values, hashes = {**checksum(path), **(features or {})}, [hash_of(path)]
    if path.stat().st_size > PARTIAL_ABOVE:
        hashes.append(own_hash(values["sha256"]))
    found = list(ln.Artifact.filter(key=key, hash__in=hashes).order_by("-created_at"))
    known = next((one for one in found if _has_content(one, values.get("sha256"))), None)
    if known is not None:
        if trouble_of(known):
            restore(known, path)
        if run is not None and known.run_id != run.id:
            known.recreating_runs.add(run)
        there = plain_values(known)  # a kill may have come between the artifact and its features
        annotate(known, {name: value for name, value in values.items() if name in FEATURES and name not in there})
        label(known, values.get("dataset"))
        return known
    with _without_hints():
        artifact = ln.Artifact(path, key=key, description=description, kind=kind, run=run, skip_hash_lookup=True)
        if found:  # LaminDB allows a key with a hash once, and its own hash does not tell these files apart
            artifact.hash, artifact._hash_type = hashes[-1], OWN
        artifact.save()
    annotate(artifact, values)
    label(artifact, values.get("dataset"))
    return artifact


def checksum(path: Path) -> dict[str, str]:
    """The feature that tells all of a large file's content; nothing for one that LaminDB hashes whole."""
    return {"sha256": remembered.sha256(path)} if path.stat().st_size > PARTIAL_ABOVE else {}


def save_of_run(path: Path, description: str) -> ln.Artifact:
    """Register a file about runs, such as a report or a list of packages: once for the same content.

    LaminDB allows a file without a key once.
    """
    known = ln.Artifact.filter(hash=hash_of(path), key=None, kind=OF_RUNS).first()
    if known is None:
        with _without_hints():
            made = ln.Artifact(path, description=description, kind=OF_RUNS, run=False, skip_hash_lookup=True)
            return made.save()
    if trouble_of(known):
        restore(known, path)
    return known


def _has_content(artifact: ln.Artifact, whole: str | None) -> bool:
    """Whether an artifact with the hash of a file has its content, too."""
    if artifact._hash_type in (WHOLE, OWN) or whole is None:
        return True
    recorded = plain_values(artifact).get("sha256")
    if recorded is None:  # registered without: its file tells, if it is still what was registered
        return not trouble_of(artifact) and remembered.sha256(local_copy(artifact)) == whole
    return bool(recorded == whole)


def get(key_or_uid: str) -> ln.Artifact:
    """The artifact of that uid, or the latest version of that key; ``*`` in a key stands for any one folder or name.

    Of a uid the beginning is enough where it is one artifact's alone.

    Raises:
        InputError: there is none, or several begin so; the nearest keys are named.
    """
    if not key_or_uid:
        raise InputError("No artifact is named", where=_slug(), fix="Give a key or a uid.")
    if "*" in key_or_uid:
        found = ln.Artifact.filter(key__regex=_regex(key_or_uid), is_latest=True).order_by("-created_at").first()
    elif "/" in key_or_uid:
        found = ln.Artifact.filter(key=key_or_uid, is_latest=True).order_by("-created_at").first()
    else:
        found = _by_uid(key_or_uid) or ln.Artifact.filter(key=key_or_uid, is_latest=True).first()
    if found is None:
        keys = ln.Artifact.filter(key__isnull=False).values_list("key", flat=True).distinct()
        raise InputError(f"No artifact {key_or_uid!r}", where=_slug(), fix=nearest(key_or_uid, keys))
    return found


def _by_uid(start: str) -> ln.Artifact | None:
    """The latest version of the artifact whose uid begins so."""
    found = ln.Artifact.filter(uid__startswith=start).order_by("-created_at")
    uids = list(found.values_list("uid", flat=True))
    stems = {uid[:STEM_LENGTH] for uid in uids}
    if len(stems) > 1:
        raise InputError(
            f"{len(stems):,} artifacts have a uid that begins with {start!r}",
            where=_slug(),
            fix=f"Give more of it: {some(uids, 3)}.",
        )
    return found.first()


def matching_keys(pattern: str) -> list[str]:
    """The keys that match a pattern, sorted; ``*`` stands for any one folder or part of a name."""
    return sorted(set(ln.Artifact.filter(key__regex=_regex(pattern), is_latest=True).values_list("key", flat=True)))


def _regex(pattern: str) -> str:
    return f"^{re.escape(pattern)}$".replace(r"\*", "[^/]+")


def load(key_or_uid: str) -> Path:
    """The local file of an artifact, recorded as an input of the current run.

    Raises:
        InputError: no such artifact.
        IntegrityError: its file is gone, or is not what was registered.
    """
    artifact = get(key_or_uid)
    require(artifact)
    return Path(artifact.cache())


def require(artifact: ln.Artifact) -> Path:
    """The local file of an artifact; not recorded as an input.

    Raises:
        IntegrityError: its file is gone, or is not what was registered.
    """
    trouble = trouble_of(artifact)
    if trouble:
        raise IntegrityError(
            f"The file of artifact {told(artifact.key, artifact.uid, trouble)}",
            where=artifact.path,
            fix="Restore it, or call the run that made it again: it makes again what is gone or was altered.",
        )
    return local_copy(artifact)


def restore(artifact: ln.Artifact, path: Path) -> None:
    """Put the same content back where the artifact's file was lost or altered."""
    if isinstance(artifact.path, Path):
        with atomic_path(Path(artifact.path)) as temporary:
            shutil.copyfile(path, temporary)
    else:
        artifact.path.upload_from(path)


@contextmanager
def _without_hints() -> Iterator[None]:
    """Keep LaminDB from advising a data frame wherever it sees a CSV file."""
    before = ln.settings.verbosity
    ln.settings.verbosity = "error"
    try:
        yield
    finally:
        ln.settings.verbosity = before


def _slug() -> str:
    return str(ln.setup.settings.instance.slug)
