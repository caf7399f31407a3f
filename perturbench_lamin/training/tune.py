"""Search a model's hyperparameters: train and score trials until the study has as many as asked for."""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import os
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from multiprocessing.connection import wait as wait_for
from pathlib import Path
from typing import Any

import optuna
import pandas as pd
import torch
from optuna.trial import TrialState
from tqdm import tqdm

from perturbench_lamin import __version__
from perturbench_lamin.errors import InputError, PerturbenchError
from perturbench_lamin.files import sha256
from perturbench_lamin.training import study as studies
from perturbench_lamin.training.callbacks import DivergenceError
from perturbench_lamin.training.config import TrainConfig
from perturbench_lamin.training.fit import fit
from perturbench_lamin.training.objective import RANK_WEIGHT, score_validation
from perturbench_lamin.training.pruning import PruneTrial, make_pruner
from perturbench_lamin.training.run_folder import BEST, LAST
from perturbench_lamin.training.search_space import space_to_dict
from perturbench_lamin.training.search_spaces import Space

FAILURES = (DivergenceError, MemoryError, torch.OutOfMemoryError)
"""What one choice of hyperparameters can bring about: the trial has failed, the search goes on."""


@dataclass(frozen=True)
class TuneConfig:
    """The configuration of a search.

    Attributes:
        base: what every trial has in common; its seed is that of every trial's training.
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
        base = {name: value for name, value in config.base.to_dict().items() if name != "accelerator"}
        return {
            "version": __version__,
            "training": base,
            "space": space_to_dict(config.space),
            "rank weight": config.rank_weight,
            "seed": config.seed,
            "curated file": sha256(self.curated_path),
            "split": f"{int(labels.sum()):x}",
        }


def search(task: Search, *, jobs: int = 1, elsewhere: bool = False, progress: bool = False) -> optuna.Study:
    """Do the trials that a study lacks, in one or several processes, beside others that share it.

    Trials that a kill left behind are done again, from their last epoch.

    Args:
        task: the search.
        jobs: processes; each trains one trial at a time.
        elsewhere: take running trials of other machines for abandoned.
        progress: show a bar over the trials.

    Returns:
        The study, with all its trials finished.

    Raises:
        InputError: data, configuration and study do not fit each other, or every trial has failed.
    """
    with studies.quiet_optuna():
        study = task.open()
        with tqdm(total=task.config.trials, desc="Trials", unit="trial", disable=not progress) as bar:
            while not _finished(study, task, bar):
                studies.abandon_stale(study, task.lock, elsewhere=elsewhere)
                if jobs > 1:
                    _in_processes(study, task, jobs, bar)
                else:
                    _work(study, task, bar)
                _wait_for_others(study, task, bar, elsewhere)
    _require_one(study, task)
    return study


def _work(study: optuna.Study, task: Search, bar: tqdm | None = None) -> None:
    config = task.config
    while (trial := studies.next_trial(study, config.space, config.trials, config.seed, task.lock)) is not None:
        try:
            _try(study, trial, task)
        except BaseException:
            studies.abandon(study, trial)
            raise
        _tidy(study, task)
        if bar is not None:
            _show(bar, study)


def _try(study: optuna.Study, trial: optuna.Trial, task: Search) -> None:
    """Train and score one trial, and tell the study how it ended."""
    config = task.config.of(trial.params)
    folder = task.folder / "trials" / trial.user_attrs[studies.FOLDER]
    try:
        result = fit(task.curated_path, task.split, config, folder, callbacks=[PruneTrial(trial)], progress=False)
        score = score_validation(
            result.best_checkpoint,
            task.curated_path,
            task.split,
            rank_weight=task.config.rank_weight,
            accelerator=config.accelerator,
        )
    except optuna.TrialPruned:
        study.tell(trial, state=TrialState.PRUNED)
    except FAILURES as error:
        trial.set_user_attr(studies.PROBLEM, str(error).splitlines()[0])
        study.tell(trial, state=TrialState.FAIL)
    else:
        trial.set_user_attr("fit", score.fit)
        trial.set_user_attr("rank", score.rank)
        trial.set_user_attr("epochs", len(result.history))
        study.tell(trial, score.value)


def _tidy(study: optuna.Study, task: Search) -> None:
    """Remove the checkpoints of finished trials but for the best one's: they would fill the disk."""
    best = studies.best_trial(study)
    for trial in studies.counted(study):
        if trial.state.is_finished() and trial is not best:
            for name in (BEST, LAST):
                (task.folder / "trials" / trial.user_attrs[studies.FOLDER] / name).unlink(missing_ok=True)


def _in_processes(study: optuna.Study, task: Search, jobs: int, bar: tqdm) -> None:
    """Work in processes of their own until all have ended; end them when this one has to stop."""
    context = multiprocessing.get_context("spawn")
    devices, errors = torch.cuda.device_count(), context.SimpleQueue()
    workers = [
        context.Process(target=_worker, args=(task, jobs, place % devices if devices > 1 else None, errors))
        for place in range(jobs)
    ]
    begun = len(study.get_trials(deepcopy=False))
    try:
        for worker in workers:
            worker.start()
        while any(worker.is_alive() for worker in workers) and errors.empty():
            wait_for([worker.sentinel for worker in workers if worker.is_alive()], timeout=1)
            _show(bar, study)
        if not errors.empty():
            raise errors.get()
        if all(worker.exitcode for worker in workers) and len(study.get_trials(deepcopy=False)) == begun:
            raise PerturbenchError("Every process of the search ended before its first trial", where=task.folder)
    finally:
        for worker in workers:
            if worker.is_alive():
                worker.terminate()
        for worker in workers:
            worker.join()


def _worker(task: Search, jobs: int, device: int | None, errors: Any) -> None:
    """One process of several: its share of the cores, one graphics card where there are several."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    if device is not None:
        os.environ["CUDA_VISIBLE_DEVICES"] = str(device)
    torch.set_num_threads(max(1, (os.cpu_count() or 1) // jobs))
    try:
        with studies.quiet_optuna():
            _work(task.open(), task)
    except Exception as error:
        errors.put(error)


def _end_with_parent() -> None:
    """End this process when the one that started it is gone: its trial is then done again."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait_for([parent.sentinel])
        os._exit(1)


def _finished(study: optuna.Study, task: Search, bar: tqdm) -> bool:
    _show(bar, study)
    done = [trial for trial in studies.counted(study) if trial.state.is_finished()]
    return len(done) >= task.config.trials


def _wait_for_others(study: optuna.Study, task: Search, bar: tqdm, elsewhere: bool) -> None:
    """Wait for the trials that other processes still train."""
    while any(
        studies.is_alive(trial, elsewhere=elsewhere)
        for trial in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))
    ):
        bar.set_description("Trials (waiting for other processes)")
        time.sleep(1)
        _show(bar, study)
    bar.set_description("Trials")


def _show(bar: tqdm, study: optuna.Study) -> None:
    trials = studies.counted(study)
    bar.n = sum(trial.state.is_finished() for trial in trials)
    best = studies.best_trial(study)
    bar.set_postfix_str("" if best is None else f"best {best.values[0]:.4g}")


def _require_one(study: optuna.Study, task: Search) -> None:
    if studies.best_trial(study) is None:
        trials = studies.counted(study)
        problems = [trial.user_attrs[studies.PROBLEM] for trial in trials if studies.PROBLEM in trial.user_attrs]
        first = problems[0] if problems else "all were ended early"
        raise InputError(
            f"None of {len(trials):,} trials is complete: {first}", where=task.folder, fix="Narrow the search space."
        )
