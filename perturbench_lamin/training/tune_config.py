"""What a search is: its configuration, the data it is done on, and the study that it belongs to."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import optuna
import pandas as pd

from perturbench_lamin import __version__
from perturbench_lamin.errors import InputError
from perturbench_lamin.files import sha256
from perturbench_lamin.models.registry import hyperparameters, model_class
from perturbench_lamin.training import study as studies
from perturbench_lamin.training.config import SAME_RESULT, TrainConfig
from perturbench_lamin.training.objective import RANK_WEIGHT
from perturbench_lamin.training.pruning import make_pruner
from perturbench_lamin.training.search_space import space_to_dict
from perturbench_lamin.training.search_spaces import Space


@dataclass(frozen=True)
class TuneConfig:
    """The configuration of a search.

    Attributes:
        base: what every trial has in common; its seed is that of every trial's training, which is on one device.
        space: hyperparameter → its range.
        trials: of the whole study; a study that has them is finished.
        rank_weight: weight of the rank in the objective.
        seed: of the suggestions; with one process the search is then determined.
        pruner: a name in :data:`~perturbench_lamin.training.pruning.PRUNERS`.
        warmup_epochs: epochs in which no trial is ended early.
    """

    base: TrainConfig
    space: Space
    trials: int = 60
    rank_weight: float = RANK_WEIGHT
    seed: int = 0
    pruner: str = "median"
    warmup_epochs: int = 5

    def __post_init__(self) -> None:
        if self.trials < 1:
            raise InputError(f"trials is {self.trials}", where="tune", fix="Give at least 1.")
        if self.base.devices != 1:
            raise InputError("A trial trains on one device", where="devices", fix="Give jobs: trials at a time.")
        if self.rank_weight < 0:
            raise InputError(f"rank_weight is {self.rank_weight}", where="tune", fix="Give at least 0.")

    def of(self, hyperparameters: Mapping[str, Any]) -> TrainConfig:
        """The configuration of one trial."""
        return replace(self.base, hyperparameters={**self.base.hyperparameters, **hyperparameters})


@dataclass(frozen=True)
class Search:
    """A search and the data it is done on: all that a process needs to take part.

    Attributes:
        curated_path: a curated h5ad file.
        split: cell → part.
        config: what is searched, and how.
        folder: for the journal, the trials' trainings and the results.
        storage: a database's URL instead of the folder's journal file.
    """

    curated_path: Path
    split: pd.Series
    config: TuneConfig
    folder: Path
    storage: str | None = None

    @property
    def lock(self) -> Path:
        """The file by which the processes of the study take turns."""
        return self.folder / ".study.lock"

    def open(self) -> optuna.Study:
        """The study.

        Raises:
            InputError: its storage holds another search.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        config = self.config
        pruner = make_pruner(config.pruner, config.warmup_epochs, config.base.max_epochs)
        return studies.open_study(self.storage or self.folder / studies.JOURNAL, self._identity(), pruner)

    def in_own_folder(self) -> Search:
        """The same search in a subfolder that is named for it: other searches may share the folder."""
        text = json.dumps(self._identity(), sort_keys=True)
        return replace(self, folder=self.folder / hashlib.sha256(text.encode()).hexdigest()[:12])

    def _identity(self) -> dict[str, Any]:
        config = self.config
        labels = pd.util.hash_pandas_object(self.split.fillna("").astype(str), index=True)
        same = ("accelerator", *SAME_RESULT)
        base = {name: value for name, value in config.base.to_dict().items() if name not in same}
        return {
            "version": __version__,
            "training": base,
            "space": space_to_dict(config.space),
            "rank weight": config.rank_weight,
            "seed": config.seed,
            "curated file": sha256(self.curated_path),
            "split": f"{int(labels.sum()):x}",
            **self._files(),
        }

    def _files(self) -> dict[str, Any]:
        """The content of files that hyperparameters of the trials name, searched ones included."""
        model, given = self.config.base.model, self.config.base.hyperparameters
        kind = model_class(model).hyperparameters_type
        choices = {name: getattr(self.config.space.get(name), "choices", ()) for name in kind.files}
        trials = [given, *({**given, name: value} for name, values in choices.items() for value in values)]
        found = sorted({pair for one in trials for pair in hyperparameters(model, one).digests().items()})
        return {"files": [list(pair) for pair in found]} if found else {}
