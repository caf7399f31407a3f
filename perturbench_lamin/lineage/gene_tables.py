"""Register the tables that name and check genes, and find them again."""

from __future__ import annotations

from pathlib import Path

import lamindb as ln

from perturbench_lamin.lineage import artifacts, keys, runs
from perturbench_lamin.remembered import sha256


def save_gene_table(path: Path, origin: str) -> ln.Artifact:
    """Register a table of Ensembl ids and symbols, with where it comes from in plain words."""
    return artifacts.save(
        path, keys.gene_table(), f"Gene table of Homo sapiens: {origin}", features={"sha256": sha256(path)}
    )


def gene_source(name: str) -> ln.Artifact:
    """The file of a gene table that was given, byte for byte.

    Args:
        name: its key or uid; or a path, which is registered as the output of a run of its own, so that the current run
            can read it as an input.
    """
    path = Path(name)
    return _given(path, keys.gene_source(path.name)) if path.is_file() else artifacts.get(name)


def gene_table(name: str) -> Path | None:
    """The file of a gene table, which becomes an input of the current run.

    Args:
        name: a key or uid; or a path, see :func:`gene_source`; or empty for none.
    """
    return artifacts.load(gene_source(name).uid) if name else None


def _given(path: Path, key: str) -> ln.Artifact:
    checksum = sha256(path)
    transform = ln.Transform.filter(key=keys.GIVEN_TRANSFORM).first() or ln.Transform(
        key=keys.GIVEN_TRANSFORM, kind="pipeline", description="Take a file as it was given"
    )
    told = {"file": path.name, "sha256": checksum}
    run = ln.Run(transform.save(), name=path.name, status="started", params=told).save()
    artifact = artifacts.save(
        path, key, f"File {path.name} as it was given, SHA-256 {checksum}", features={"sha256": checksum}, run=run
    )
    runs.close(run, runs.Status.COMPLETED)
    return artifact
