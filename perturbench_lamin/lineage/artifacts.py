"""Save and load artifacts so that every file has a run, a description and features."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import lamindb as ln
from lamindb_setup.core.hashing import hash_file

from perturbench_lamin.errors import InputError, IntegrityError, nearest
from perturbench_lamin.files import atomic_path, sha256
from perturbench_lamin.lineage.copies import local_copy
from perturbench_lamin.lineage.features import annotate
from perturbench_lamin.lineage.project import label

WHOLE = "md5"
"""LaminDB's word for a hash over all of a file."""


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
    Of a large file LaminDB hashes the first and last 50 MiB alone: its SHA-256 becomes a feature.

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
    _, digest, how = hash_file(path)
    values = {**({"sha256": sha256(path)} if how != WHOLE else {}), **(features or {})}
    known = ln.Artifact.filter(key=key, hash=digest).order_by("-created_at").first()
    if known is not None:
        if not _is_intact(known):
            _restore(known, path)
        if run is not None and known.run_id != run.id:
            known.recreating_runs.add(run)
        label(known, (features or {}).get("dataset"))
        return known
    with _without_hints():
        artifact = ln.Artifact(path, key=key, description=description, kind=kind, run=run, skip_hash_lookup=True).save()
    annotate(artifact, values)
    label(artifact, (features or {}).get("dataset"))
    return artifact


def get(key_or_uid: str) -> ln.Artifact:
    """The artifact of that uid, or the latest version of that key; ``*`` in a key stands for any one folder or name.

    Raises:
        InputError: there is none; the nearest keys are named.
    """
    if "*" in key_or_uid:
        found = ln.Artifact.filter(key__regex=_regex(key_or_uid), is_latest=True).order_by("-created_at").first()
    elif "/" in key_or_uid:
        found = ln.Artifact.filter(key=key_or_uid, is_latest=True).order_by("-created_at").first()
    else:
        found = ln.Artifact.filter(uid__startswith=key_or_uid).order_by("-created_at").first()
        found = found or ln.Artifact.filter(key=key_or_uid, is_latest=True).order_by("-created_at").first()
    if found is None:
        keys = ln.Artifact.filter(key__isnull=False).values_list("key", flat=True).distinct()
        raise InputError(f"No artifact {key_or_uid!r}", where=_slug(), fix=nearest(key_or_uid, keys))
    return found


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
    fix = "Restore it, or run the step that makes it again with --force."
    if not artifact.path.exists():
        raise IntegrityError(
            f"The file of artifact {artifact.key} ({artifact.uid}) is gone", where=artifact.path, fix=fix
        )
    path = local_copy(artifact)
    if not _is_intact(artifact):
        raise IntegrityError(
            f"The file of artifact {artifact.key} ({artifact.uid}) was altered since it was registered",
            where=path,
            fix=fix,
        )
    return path


def _is_intact(artifact: ln.Artifact) -> bool:
    """Whether the stored file is there and is what was registered."""
    if not artifact.path.exists():
        return False
    return not artifact.hash or bool(hash_file(local_copy(artifact))[1] == artifact.hash)


def _restore(artifact: ln.Artifact, path: Path) -> None:
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
