"""What a search and an experiment register."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import lamindb as ln

from perturbench_lamin.lineage import artifacts, keys
from perturbench_lamin.lineage.features import annotate

if TYPE_CHECKING:
    import pandas as pd

    from perturbench_lamin.training.study_results import StudyFiles


def save_study(files: StudyFiles, trials: pd.DataFrame, dataset: str, task: str, model: str) -> list[ln.Artifact]:
    """Register a study: its journal, the table of its trials, and the best configuration.

    The objective of the best trial and the number of trials become features of each, and of the run.

    Args:
        files: where they are.
        trials: the table.
        dataset: the dataset's name.
        task: of the split.
        model: the model's name in the registry.
    """
    found = {"n_trials": len(trials), "objective": float(trials["objective"].min())}
    features = {"dataset": dataset, "task": task, "model": model, **found}
    about = f"{model} on {dataset} {task}, {len(trials):,} trials, best objective {found['objective']:.6g}"
    saved = [
        artifacts.save(path, key(dataset, task, model), f"{what} of {about}", features=features)
        for path, key, what in (
            (files.journal, keys.study_journal, "Study"),
            (files.trials, keys.study_trials, "Trials"),
            (files.best, keys.study_best, "Best configuration"),
        )
    ]
    if ln.context.run is not None:
        annotate(ln.context.run, found)
    return saved


def save_experiment(table: Path, figure: Path, dataset: str, name: str) -> tuple[ln.Artifact, ln.Artifact]:
    """Register the table of an experiment, and its figure."""
    about = {"dataset": dataset, "experiment": name}
    return (
        artifacts.save(table, keys.experiment(dataset, name), f"Experiment {name} on {dataset}", features=about),
        artifacts.save(
            figure,
            keys.experiment_figure(dataset, name),
            f"Figure of the experiment {name} on {dataset}",
            features=about,
        ),
    )
