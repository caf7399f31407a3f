"""Search a model's hyperparameters: train and score trials until the study has as many as asked for."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import threading
import time
from multiprocessing.connection import wait as wait_for
from typing import Any

import optuna
import torch
from optuna.trial import TrialState
from tqdm import tqdm

from perturbench_lamin.errors import InputError, PerturbenchError
from perturbench_lamin.loading.curated_file import CuratedFile
from perturbench_lamin.loading.header import read_header
from perturbench_lamin.splitting.summary import tell_seen
from perturbench_lamin.training import study as studies
from perturbench_lamin.training.callbacks import DivergenceError
from perturbench_lamin.training.fit import fit
from perturbench_lamin.training.objective import require_rank, score_validation
from perturbench_lamin.training.pruning import PruneTrial
from perturbench_lamin.training.run_folder import BEST, LAST
from perturbench_lamin.training.tune_config import Search

FAILURES = (DivergenceError, MemoryError, torch.OutOfMemoryError)
"""What one choice of hyperparameters can bring about: the trial has failed, the search goes on."""


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
    if task.config.rank_weight:
        require_rank(task.curated_path, task.split)
    header = read_header(task.curated_path)
    labels = task.split.reindex(header.obs.index).fillna("")  # a split of other cells is the trials' to refuse
    tell_seen(header.obs, labels, header.info.keys)  # once, for all trials
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
    config, file = task.config, CuratedFile(task.curated_path)  # its expression is read once for all trials
    while (trial := studies.next_trial(study, config.space, config.trials, config.seed, task.lock)) is not None:
        try:
            _try(study, trial, task, file)
        except BaseException:
            studies.abandon(study, trial)
            raise
        _tidy(study, task)
        if bar is not None:
            _show(bar, study)


def _try(study: optuna.Study, trial: optuna.Trial, task: Search, file: CuratedFile) -> None:
    """Train and score one trial, and tell the study how it ended."""
    config = task.config.of(trial.params)
    folder = task.folder / "trials" / trial.user_attrs[studies.FOLDER]
    try:
        result = fit(file, task.split, config, folder, callbacks=[PruneTrial(trial)], progress=False)
        score = score_validation(
            result.best_checkpoint,
            file,
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
    except KeyboardInterrupt:
        os._exit(1)  # the process that started this one tells of it
    except Exception as error:
        errors.put(error if _travels(error) else PerturbenchError(f"{type(error).__name__}: {error}", where="a trial"))


def _travels(error: Exception) -> bool:
    """Whether the error is the same in another process."""
    try:
        return isinstance(pickle.loads(pickle.dumps(error)), type(error))
    except Exception:  # of any package's own class
        return False


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
