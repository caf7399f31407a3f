"""What ingestion and evaluation register: its key, its description and its features."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from perturbench_lamin.lineage import artifacts, keys
from perturbench_lamin.lineage.features import annotate
from perturbench_lamin.remembered import sha256

if TYPE_CHECKING:
    import lamindb as ln
    import pandas as pd

    from perturbench_lamin.catalog.dataset import Dataset, RawFile


def save_raw(path: Path, dataset: Dataset, raw_file: RawFile, *, simulated: bool) -> ln.Artifact:
    """Register a deposited file, byte for byte, with its origin."""
    what = "SIMULATED stand-in for the deposited file" if simulated else "Deposited file"
    return artifacts.save(
        path,
        keys.raw(dataset.name, raw_file.name),
        f"{what} {raw_file.name} of {dataset.citation}",
        features={
            "dataset": dataset.name,
            "origin_url": raw_file.url,
            "sha256": sha256(path),
            "licence": dataset.licence,
            "citation": f"{dataset.citation}: {dataset.title}." + (f" doi:{dataset.doi}" if dataset.doi else ""),
            "simulated": simulated,
        },
    )


def save_prediction(path: Path, dataset: str, task: str, model: str, seed: int) -> ln.Artifact:
    """Register predictions of the test split."""
    return artifacts.save(
        path,
        keys.prediction(dataset, task, model, seed),
        f"Test split of {dataset} {task} as predicted by {model}, seed {seed}",
        features={"dataset": dataset, "task": task, "model": model, "seed": seed},
    )


def save_metrics(path: Path, table: pd.DataFrame, dataset: str, task: str, model: str, seed: int) -> ln.Artifact:
    """Register a long metrics table; the means over conditions become features of it and of the run."""
    import lamindb as ln

    means = {str(name): float(value) for name, value in table.groupby("metric")["value"].mean().items()}
    defined = {name: value for name, value in means.items() if value == value}
    about = {"dataset": dataset, "task": task, "model": model, "seed": seed}
    artifact = artifacts.save(
        path,
        keys.metrics(dataset, task, model, seed),
        f"Metrics of {model}, seed {seed}, on the test split of {dataset} {task}",
        features={**about, **defined},
    )
    if ln.context.run is not None:
        annotate(ln.context.run, defined)
    return artifact


def save_report(path: Path, dataset: str, task: str, model: str, seed: int) -> ln.Artifact:
    """Register the page that says how good predictions of the test split are, and how sure that is."""
    return artifacts.save(
        path,
        keys.report(dataset, task, model, seed),
        f"Report on {model}, seed {seed}, beside baselines, on the test split of {dataset} {task}",
        features={"dataset": dataset, "task": task, "model": model, "seed": seed},
    )


def save_leaderboard(metrics: Path, board: Path, dataset: str, task: str) -> tuple[ln.Artifact, ln.Artifact]:
    """Register the metrics of all models in one table, and the leaderboard made of it."""
    about: dict[str, Any] = {"dataset": dataset, "task": task}
    table = artifacts.save(
        metrics, keys.all_metrics(dataset, task), f"Metrics of all models on {dataset} {task}", features=about
    )
    return table, artifacts.save(
        board, keys.leaderboard(dataset, task), f"Leaderboard of {dataset} {task}", features=about
    )


def is_simulated(key_or_uid: str) -> bool:
    """Whether an artifact is marked as simulated."""
    return bool(artifacts.get(key_or_uid).features.get_values().get("simulated", False))
