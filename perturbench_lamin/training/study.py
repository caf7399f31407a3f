"""A study on disk that many processes share: open it, ask for a trial, give up those that a kill left behind."""

from __future__ import annotations

import fcntl
import os
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import psutil
from optuna.exceptions import UpdateFinishedTrialError
from optuna.storages import BaseStorage, RDBStorage
from optuna.trial import FrozenTrial, TrialState

from perturbench_lamin.errors import InputError
from perturbench_lamin.files import atomic_path
from perturbench_lamin.training.journal import open_journal
from perturbench_lamin.training.search_spaces import Space

JOURNAL = "study.journal"
NAME = "tune"
ATTEMPTS = 3
"""How often a trial is begun whose process is killed each time."""

ABANDONED, FOLDER, OWNER, PROBLEM, SEARCH = "abandoned", "folder", "owner", "problem", "search"


def open_study(storage: str | Path, search: Mapping[str, Any], pruner: optuna.pruners.BasePruner) -> optuna.Study:
    """Open a study, or make it.

    Args:
        storage: a journal file, or a database's URL such as ``sqlite:///study.db``.
        search: plain values that say what is searched; they must be those the study was made with.
        pruner: ends hopeless trials.

    Raises:
        InputError: the storage holds another search, or cannot be opened.
        IntegrityError: the journal is damaged other than by a last line that a kill or a full disk tore.
    """
    with quiet_optuna():
        study = optuna.create_study(
            storage=_storage(storage), study_name=NAME, direction="minimize", pruner=pruner, load_if_exists=True
        )
    known = study.user_attrs.get(SEARCH)
    if known is None:
        study.set_user_attr(SEARCH, dict(search))
    elif known != dict(search):
        other = sorted(name for name in {*known, *search} if known.get(name) != search.get(name))
        raise InputError(
            f"The study is of another search: {', '.join(other)} differ",
            where=storage,
            fix="Name another folder, or give the same data, model, space and settings.",
        )
    return study


def next_trial(study: optuna.Study, space: Space, limit: int, seed: int, lock: Path) -> optuna.Trial | None:
    """A new trial, or None where the study has as many as it may.

    What is suggested depends on the seed, the trial's place and the finished trials, not on when a process began:
    a study that was interrupted goes on as it would have.

    Args:
        study: the study.
        space: hyperparameter → its range.
        limit: trials of the whole study; abandoned ones do not count.
        seed: of the suggestions.
        lock: a file that the processes of the study share, so that they do not exceed the limit.
    """
    with _locked(lock):
        trials = study.get_trials(deepcopy=False)
        place = len([trial for trial in trials if _counts(trial) and trial.state != TrialState.WAITING])
        if place >= limit:
            return None
        state = np.random.SeedSequence([seed, place]).generate_state(1)[0]
        study.sampler = optuna.samplers.TPESampler(seed=int(state))
        trial = study.ask(fixed_distributions=dict(space))
        trial.set_user_attr(OWNER, _owner())
        if FOLDER not in trial.user_attrs:
            trial.set_user_attr(FOLDER, f"{trial.number:04d}")
    return trial


def abandon(study: optuna.Study, trial: FrozenTrial | optuna.Trial) -> bool:
    """Mark a trial that nobody works on as failed, and queue its hyperparameters again.

    Its folder is handed on, so that the training goes on from its last epoch. After :data:`ATTEMPTS` it counts as
    failed: what was killed for its memory would be killed again and again.

    Returns:
        Whether it was this call that did so, and not another process.
    """
    trials = study.get_trials(deepcopy=False)
    frozen = next(item for item in trials if item.number == trial.number)
    folder = frozen.user_attrs.get(FOLDER, f"{frozen.number:04d}")
    again = sum(item.user_attrs.get(FOLDER) == folder for item in trials) < ATTEMPTS
    told = {ABANDONED: True} if again else {PROBLEM: f"It did not end in {ATTEMPTS} attempts"}
    try:
        for name, value in told.items():
            study._storage.set_trial_user_attr(frozen._trial_id, name, value)
        study.tell(trial.number, state=TrialState.FAIL)
    except (UpdateFinishedTrialError, ValueError):
        return False
    if again and frozen.params:
        study.enqueue_trial(frozen.params, user_attrs={FOLDER: folder})
    return True


def abandon_stale(study: optuna.Study, lock: Path, *, elsewhere: bool = False) -> int:
    """Abandon the running trials whose process is gone.

    Args:
        study: the study.
        lock: as for :func:`next_trial`.
        elsewhere: take running trials of other machines for abandoned, too: from here that cannot be seen.

    Returns:
        How many there were.
    """
    with _locked(lock):
        running = study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))
        return sum(abandon(study, trial) for trial in running if not is_alive(trial, elsewhere=elsewhere))


def is_alive(trial: FrozenTrial, *, elsewhere: bool = False) -> bool:
    """Whether the process of a running trial is there; on other machines it is, unless ``elsewhere``."""
    owner = trial.user_attrs.get(OWNER)
    if owner is None:
        return False  # killed before it could say who it was: that happens under the lock
    if owner["host"] != socket.gethostname():
        return not elsewhere
    try:
        return psutil.Process(owner["pid"]).create_time() == owner["started"]
    except psutil.NoSuchProcess:
        return False


def counted(study: optuna.Study) -> list[FrozenTrial]:
    """The trials of a study but for the abandoned ones."""
    return [trial for trial in study.get_trials(deepcopy=False) if _counts(trial)]


def best_trial(study: optuna.Study) -> FrozenTrial | None:
    """The complete trial of the lowest objective, the earliest of equal ones; None where none is complete."""
    complete = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    return min(complete, key=lambda trial: (trial.values[0], trial.number), default=None)


def export(study: optuna.Study, path: Path) -> None:
    """Copy a study from a database to a journal file."""
    with quiet_optuna(), atomic_path(path) as temporary:
        journal = optuna.create_study(storage=_storage(temporary), study_name=NAME, direction="minimize")
        for name, value in study.user_attrs.items():
            journal.set_user_attr(name, value)
        journal.add_trials(study.get_trials(deepcopy=False))


@contextmanager
def quiet_optuna() -> Iterator[None]:
    """Keep Optuna's own messages to itself inside the block."""
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        yield
    finally:
        optuna.logging.set_verbosity(before)


def _counts(trial: FrozenTrial) -> bool:
    return not trial.user_attrs.get(ABANDONED, False)


def _owner() -> dict[str, Any]:
    return {"host": socket.gethostname(), "pid": os.getpid(), "started": psutil.Process().create_time()}


def _storage(storage: str | Path) -> BaseStorage:
    if isinstance(storage, str) and "://" in storage:
        try:
            return RDBStorage(storage)
        except Exception as error:  # of SQLAlchemy or of a driver: which one depends on the database
            raise InputError(f"The study's storage cannot be opened: {error}", where=storage) from error
    return open_journal(Path(storage))


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("a") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
