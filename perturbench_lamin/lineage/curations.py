"""What a curation registers: the curated file and its splits."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from perturbench_lamin.curation.schema import open_curated
from perturbench_lamin.lineage import artifacts, keys, products
from perturbench_lamin.splitting.io import write_split

if TYPE_CHECKING:
    import lamindb as ln
    import pandas as pd

    from perturbench_lamin.curation.report import PreprocessReport
    from perturbench_lamin.splitting.every_task import DatasetSplits, NamedTask


def save_curated(path: Path, dataset: str, report: PreprocessReport, *, made_from: Sequence[str]) -> ln.Artifact:
    """Register a curated AnnData, once it is seen to keep the contract of curated files.

    Args:
        path: the file.
        dataset: its name.
        report: what preprocessing found.
        made_from: keys or uids of the raw artifacts; if one is simulated, so is this.

    Raises:
        InputError: the file does not keep the contract.
    """
    open_curated(path, backed=True)[0].file.close()
    simulated = any(products.is_simulated(key) for key in made_from)
    artifact = artifacts.save(
        path,
        keys.curated(dataset),
        f"{'SIMULATED ' if simulated else ''}{dataset}, curated: {report.cells:,} cells × {report.genes_out:,} genes, "
        f"{report.conditions:,} conditions in {report.states:,} covariate states",
        features={
            "dataset": dataset,
            "simulated": simulated,
            "n_cells": report.cells,
            "n_genes": report.genes_out,
            "n_conditions": report.conditions,
        },
    )
    artifact.n_observations = report.cells
    return artifact.save()


def save_split(path: Path, split: pd.Series, dataset: str, task: str, seed: int) -> ln.Artifact:
    """Register a frozen split, with how many cells each part has."""
    cells = split.value_counts()
    counts = {part: int(cells.get(part, 0)) for part in ("train", "val", "test")}
    shown = ", ".join(f"{part} {count:,}" for part, count in counts.items())
    return artifacts.save(
        path,
        keys.split(dataset, task),
        f"Split of {dataset} for {task}, seed {seed}: {shown} cells",
        features={
            "dataset": dataset,
            "task": task,
            "split_seed": seed,
            "excluded_cells": int(cells.get("", 0)),
            **{f"{part}_cells": count for part, count in counts.items()},
        },
    )


def save_splits(made: DatasetSplits, dataset: str, tasks: Sequence[NamedTask], folder: Path) -> list[ln.Artifact]:
    """Write the splits of a dataset to ``folder`` and register them."""
    seeds = {task.name: int(str(task.options["seed"])) for task in tasks}
    return [
        save_split(write_split(split, folder / f"{name}.csv"), split, dataset, name, seeds[name])
        for name, split in made.splits.items()
    ]
