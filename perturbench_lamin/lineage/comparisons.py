"""Register deposited files and what comparing with them found."""

from __future__ import annotations

from pathlib import Path

import lamindb as ln

from perturbench_lamin.catalog.datasets import get_dataset
from perturbench_lamin.comparison.deposit import FoundFile
from perturbench_lamin.comparison.report import write_report
from perturbench_lamin.comparison.result import Comparison
from perturbench_lamin.lineage import artifacts, keys, runs


def save_deposited(found: FoundFile) -> ln.Artifact:
    """Register a deposited file, byte for byte, with its source, as the output of a run of its own.

    The current run can then read it as an input: an output of the same run could not be one.
    """
    dataset = get_dataset(found.published.dataset)
    transform = ln.Transform.filter(key=keys.DEPOSIT_TRANSFORM).first() or ln.Transform(
        key=keys.DEPOSIT_TRANSFORM, kind="pipeline", description="Take a file from the published benchmark's deposit"
    )
    told = {"file": found.published.name, "origin": found.origin, "sha256": found.sha256, "agrees_with": found.checked}
    run = ln.Run(transform.save(), name=found.published.name, status="started", params=told).save()
    artifact = artifacts.save(
        found.path,
        keys.deposited(dataset.name, found.path.name),
        f"File {found.path.name} of the published benchmark's deposit; checksum agrees with {found.checked}",
        features={
            "dataset": dataset.name,
            "origin_url": found.url,
            "sha256": found.sha256,
            "citation": f"{dataset.citation}: {dataset.title}.",
        },
        run=run,
    )
    runs.close(run, runs.Status.COMPLETED)
    return artifact


def save_comparison(comparison: Comparison, dataset: str, folder: Path) -> tuple[ln.Artifact, ln.Artifact]:
    """Write a comparison with the deposited file as JSON and as a page, and register both."""
    title = f"{dataset}: curated and deposited"
    paths = {
        "json": comparison.write_json(folder / "comparison.json"),
        "html": write_report(comparison, folder / "comparison.html", title=title),
    }
    saved = [
        artifacts.save(
            path,
            keys.comparison(dataset, suffix),
            f"Curated and deposited file of {dataset} compared: {comparison.verdict}",
            features={"dataset": dataset, "verdict": str(comparison.verdict)},
        )
        for suffix, path in paths.items()
    ]
    return saved[0], saved[1]
