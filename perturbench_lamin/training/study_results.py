"""What a study leaves for its readers: a table of trials, the best configuration, a picture."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import optuna
import pandas as pd
from optuna.trial import FrozenTrial, TrialState

from perturbench_lamin.evaluation.result import write_table
from perturbench_lamin.evaluation.trend import save_figure
from perturbench_lamin.files import write_text
from perturbench_lamin.training import study as studies
from perturbench_lamin.training.config import TrainConfig
from perturbench_lamin.training.search_spaces import Space
from perturbench_lamin.training.study_figure import study_figure
from perturbench_lamin.training.tune_config import TuneConfig

TRIALS, BEST, PICTURE = "trials.csv", "best.json", "study.png"
STATES = {TrialState.COMPLETE: "complete", TrialState.PRUNED: "pruned", TrialState.FAIL: "failed"}


@dataclass(frozen=True)
class StudyFiles:
    """The files that a study was written to.

    Attributes:
        journal: all that the study knows of its trials, whatever its storage is.
        trials: the table of trials.
        best: the best configuration.
        picture: the objective of each trial, and against each hyperparameter; how much each of these matters.
    """

    journal: Path
    trials: Path
    best: Path
    picture: Path


def trials_table(study: optuna.Study, space: Space) -> pd.DataFrame:
    """One row a finished trial, in order, without those that a kill left behind.

    Returns:
        ``trial``, ``state`` (complete, pruned, failed), ``objective``, ``fit``, ``rank``, ``epochs``, the
        hyperparameters of the space, ``problem``. A pruned or failed trial has no objective.
    """
    rows = [_row(trial, space) for trial in studies.counted(study) if trial.state in STATES]
    columns = ["trial", "state", "objective", "fit", "rank", "epochs", *space, "problem"]
    return pd.DataFrame(rows, columns=columns).astype({"objective": float, "fit": float, "rank": float})


def best_config(study: optuna.Study, config: TuneConfig) -> TrainConfig:
    """The configuration of the best trial.

    Raises:
        ValueError: no trial is complete.
    """
    best = studies.best_trial(study)
    if best is None:
        raise ValueError("No trial is complete")
    return config.of(best.params)


def write_study(study: optuna.Study, config: TuneConfig, folder: Path) -> StudyFiles:
    """Write the table of trials, the best configuration (as ``train --config`` takes it) and the picture."""
    table = trials_table(study, config.space)
    files = StudyFiles(folder / studies.JOURNAL, folder / TRIALS, folder / BEST, folder / PICTURE)
    if not files.journal.exists():
        studies.export(study, files.journal)
    write_table(table, files.trials)
    write_text(files.best, json.dumps(best_config(study, config).to_dict(), indent=1, sort_keys=True) + "\n")
    save_figure(study_figure(table, config.space), files.picture)
    return files


def _row(trial: FrozenTrial, space: Space) -> list[object]:
    told = trial.user_attrs
    value = trial.values[0] if trial.state == TrialState.COMPLETE else None
    epochs = told.get("epochs", len(trial.intermediate_values))
    parameters: Sequence[object] = [trial.params.get(name) for name in space]
    fit, rank = told.get("fit"), told.get("rank")
    return [trial.number, STATES[trial.state], value, fit, rank, epochs, *parameters, told.get(studies.PROBLEM)]
