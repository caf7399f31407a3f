"""A real search on tiny data: its trials, its resumption, its winner."""

from __future__ import annotations

import json
import os
import pickle
import queue
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution
from optuna.trial import TrialState
from tiny_curated import Tiny, random_split, write

from perturbench_lamin.curation.source_h5ad import H5adSource
from perturbench_lamin.errors import InputError
from perturbench_lamin.loading import curated_file
from perturbench_lamin.loading.curated import READERS
from perturbench_lamin.training import study as studies
from perturbench_lamin.training import tune
from perturbench_lamin.training.config import TrainConfig
from perturbench_lamin.training.fit import fit
from perturbench_lamin.training.objective import score_validation
from perturbench_lamin.training.study_results import best_config, trials_table, write_study
from perturbench_lamin.training.tune import search
from perturbench_lamin.training.tune_config import Search, TuneConfig
from perturbench_lamin.training.winner import train_winner

ROOT = Path(__file__).parents[2]
DATA = Tiny(noise=0.3).data()
SPLIT = random_split(DATA)
SPACE = {
    "lr": FloatDistribution(1e-4, 1e-1, log=True),
    "inject_covariates": CategoricalDistribution((True, False)),
}
BASE = TrainConfig("linear", {"wd": 0.0}, seed=3, max_epochs=3, batch_size=50, accelerator="cpu")
CONFIG = TuneConfig(BASE, SPACE, trials=4, pruner="none")


@pytest.fixture(scope="module")
def curated_path(tmp_path_factory):
    return write(DATA, tmp_path_factory.mktemp("data") / "tiny.h5ad")


@pytest.fixture(scope="module")
def whole(curated_path, tmp_path_factory):
    """A study that nothing interrupts."""
    task = Search(curated_path, SPLIT, CONFIG, tmp_path_factory.mktemp("whole") / "study")
    return task, search(task)


def test_a_study_has_the_trials_asked_for_and_its_objective_is_that_of_the_paper(whole, curated_path):
    task, study = whole
    table = trials_table(study, SPACE)
    assert table["state"].tolist() == ["complete"] * 4
    assert table["epochs"].tolist() == [3] * 4
    assert (table["objective"] == table["fit"] + 0.1 * table["rank"]).all()
    assert table["lr"].between(1e-4, 1e-1).all()
    assert table["lr"].nunique() == 4
    best = table.loc[table["objective"].idxmin()]
    kept = [path.parent.name for path in (task.folder / "trials").glob("*/best.ckpt")]
    assert kept == [f"{best['trial']:04d}"], "only the best trial's checkpoint is kept"
    again = score_validation(task.folder / "trials" / kept[0] / "best.ckpt", curated_path, SPLIT, accelerator="cpu")
    assert again.value == best["objective"]


def test_the_same_seed_gives_the_same_study_and_another_seed_another(whole, curated_path, tmp_path):
    _, study = whole
    again = search(Search(curated_path, SPLIT, CONFIG, tmp_path / "again"))
    pd.testing.assert_frame_equal(trials_table(again, SPACE), trials_table(study, SPACE))
    other = search(Search(curated_path, SPLIT, replace(CONFIG, seed=1, trials=1), tmp_path / "other"))
    assert other.trials[0].params != study.trials[0].params


def test_a_finished_study_trains_nothing_and_a_longer_one_goes_on(whole, curated_path, tmp_path):
    task = Search(curated_path, SPLIT, replace(CONFIG, trials=2), tmp_path / "study")
    assert len(search(task).trials) == 2
    assert len(search(task).trials) == 2
    longer = search(replace(task, config=CONFIG))
    pd.testing.assert_frame_equal(trials_table(longer, SPACE), trials_table(whole[1], SPACE))


KILLED = """
import os, signal, sys
sys.path += ["tests/loading", "tests/training"]
import torch; torch.set_num_threads(1)
import test_tune as t
from perturbench_lamin.training.pruning import PruneTrial
def kill(self, trainer, *rest):
    if self.trial.number == 2 and (trainer.current_epoch, rest[-1]) == (2, 0):
        os.kill(os.getpid(), signal.SIGKILL)
PruneTrial.on_train_batch_end = kill
t.search(t.Search(t.Path(sys.argv[1]), t.SPLIT, t.CONFIG, t.Path(sys.argv[2])))
"""


def test_a_killed_search_does_its_trial_again_and_ends_as_without_the_kill(whole, curated_path, tmp_path):
    folder = tmp_path / "study"
    command = [sys.executable, "-c", KILLED, str(curated_path), str(folder)]
    killed = subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    task = Search(curated_path, SPLIT, CONFIG, folder)
    study = search(task)
    assert [trial.state for trial in study.trials].count(TrialState.FAIL) == 1
    assert study.trials[2].user_attrs[studies.ABANDONED]
    redone = next(trial for trial in study.trials[3:] if trial.user_attrs[studies.FOLDER] == "0002")
    assert redone.params == study.trials[2].params
    history = json.loads((folder / "trials/0002/result.json").read_text())
    assert history["stopped"] == "max_epochs"
    assert list(redone.intermediate_values) == [0, 1, 2], "also the epochs before the kill are told"
    ours, theirs = trials_table(study, SPACE), trials_table(whole[1], SPACE)
    pd.testing.assert_frame_equal(ours.drop(columns="trial"), theirs.drop(columns="trial"))


def test_two_processes_share_a_study_without_exceeding_it(curated_path, tmp_path):
    task = Search(curated_path, SPLIT, replace(CONFIG, trials=5), tmp_path / "study")
    study = search(task, jobs=2)
    assert len(study.trials) == 5
    assert len({trial.user_attrs[studies.OWNER]["pid"] for trial in study.trials}) == 2
    assert os.getpid() not in {trial.user_attrs[studies.OWNER]["pid"] for trial in study.trials}


def test_a_process_hands_its_error_on(curated_path, tmp_path, monkeypatch):
    monkeypatch.setattr("torch.set_num_threads", lambda count: None)
    task, errors = Search(curated_path, random_split(DATA).iloc[1:], CONFIG, tmp_path / "study"), queue.SimpleQueue()
    tune._worker(task, 2, None, errors)
    error = pickle.loads(pickle.dumps(errors.get_nowait()))
    assert isinstance(error, InputError)
    assert "The split lacks 1 " in str(error)


def test_a_trial_that_is_killed_each_time_has_failed(curated_path, tmp_path):
    task = Search(curated_path, SPLIT, replace(CONFIG, trials=1), tmp_path / "study")
    study = task.open()
    for _ in range(studies.ATTEMPTS):
        trial = studies.next_trial(study, SPACE, 1, 0, task.lock)
        assert trial.user_attrs[studies.FOLDER] == "0000"
        assert studies.abandon(study, trial)
    assert not studies.abandon(study, trial), "once is enough"
    assert studies.next_trial(study, SPACE, 1, 0, task.lock) is None
    table = trials_table(study, SPACE)
    assert table["problem"].tolist() == ["It did not end in 3 attempts"]
    with pytest.raises(InputError, match="did not end in 3 attempts"):
        search(task)


def test_another_storage(curated_path, tmp_path):
    url = f"sqlite:///{tmp_path / 'study.db'}"
    study = search(Search(curated_path, SPLIT, replace(CONFIG, trials=1), tmp_path / "study", storage=url))
    assert len(study.trials) == 1
    assert (tmp_path / "study.db").is_file()
    journal = tmp_path / "study" / studies.JOURNAL
    assert not journal.exists()
    write_study(study, CONFIG, tmp_path / "study")
    task = Search(curated_path, SPLIT, replace(CONFIG, trials=1), tmp_path / "study")
    pd.testing.assert_frame_equal(trials_table(search(task), SPACE), trials_table(study, SPACE))
    with pytest.raises(InputError, match="storage cannot be opened"):
        search(Search(curated_path, SPLIT, CONFIG, tmp_path / "study", storage="nonsense://x"))


@pytest.mark.parametrize("change", ["split", "space", "training"])
def test_a_study_of_another_search_is_refused(whole, curated_path, change):
    task, _ = whole
    if change == "split":
        task = replace(task, split=random_split(DATA, seed=9))
    elif change == "space":
        task = replace(task, config=replace(CONFIG, space={"lr": SPACE["lr"]}))
    else:
        task = replace(task, config=replace(CONFIG, base=replace(BASE, max_epochs=2)))
    with pytest.raises(InputError, match=f"another search: {change}"):
        search(task)


def test_a_trial_that_diverges_has_failed_and_the_search_goes_on(curated_path, tmp_path):
    space = {"lr": CategoricalDistribution((1e30, 1e-2))}
    base = replace(BASE, model="latent_additive", hyperparameters={"encoder_width": 8, "latent_dim": 4, "n_layers": 1})
    config = TuneConfig(base, space, trials=4, pruner="none", seed=1)
    study = search(Search(curated_path, SPLIT, config, tmp_path / "study"))
    table = trials_table(study, space)
    assert set(table["state"]) == {"complete", "failed"}
    assert table.loc[table["state"] == "failed", "problem"].str.startswith("The loss is").all()
    assert table.loc[table["state"] == "failed", "lr"].eq(1e30).all()
    assert best_config(study, config).hyperparameters["lr"] == 1e-2


def test_when_every_trial_fails_it_says_why(curated_path, tmp_path):
    base = replace(BASE, model="latent_additive", hyperparameters={"encoder_width": 8, "latent_dim": 4, "n_layers": 1})
    config = TuneConfig(base, {"lr": CategoricalDistribution((1e30,))}, trials=2)
    with pytest.raises(InputError, match=r"None of 2 trials is complete: The loss is"):
        search(Search(curated_path, SPLIT, config, tmp_path / "study"))


def test_hopeless_trials_are_pruned(curated_path, tmp_path):
    space = {"lr": FloatDistribution(1e-7, 1e-1, log=True)}
    config = TuneConfig(replace(BASE, max_epochs=4), space, trials=12, warmup_epochs=1)
    table = trials_table(search(Search(curated_path, SPLIT, config, tmp_path / "study")), space)
    pruned = table[table["state"] == "pruned"]
    assert 0 < len(pruned) < 12
    assert (pruned["epochs"] < 4).all()
    assert (pruned["epochs"] >= 2).all(), "no trial is ended in the first epoch"
    assert pruned["objective"].isna().all()


def test_an_error_gives_the_trial_back(curated_path, tmp_path):
    other = random_split(DATA).iloc[1:]
    task = Search(curated_path, other, CONFIG, tmp_path / "study")
    with pytest.raises(InputError, match="The split lacks 1 "):
        search(task)
    states = [trial.state for trial in task.open().trials]
    assert states == [TrialState.FAIL, TrialState.WAITING]


def test_files_of_a_study_and_its_winner(whole, curated_path, tmp_path):
    _, study = whole
    files = write_study(study, CONFIG, tmp_path)
    table = pd.read_csv(files.trials, float_precision="round_trip")
    assert len(table) == 4
    config = TrainConfig.from_dict(json.loads(files.best.read_text()))
    assert config == best_config(study, CONFIG)
    assert config.hyperparameters["lr"] == table.loc[table["objective"].idxmin(), "lr"]
    assert files.picture.read_bytes().startswith(b"\x89PNG")
    board = train_winner(curated_path, SPLIT, config, (1, 2), tmp_path)
    assert set(board["n_seeds"]) == {2}
    metrics = pd.read_csv(tmp_path / "winner/metrics.csv")
    runs = metrics[metrics["metric"] == "rmse_average"].groupby("seed")["value"].mean()
    row = board[board["metric"] == "rmse_average"].iloc[0]
    assert row["mean"] == pytest.approx(runs.mean(), rel=1e-12)
    assert row["sd"] == pytest.approx(runs.std(ddof=1), rel=1e-12)
    assert set(metrics["split"]) == {"test"}
    with pytest.raises(InputError, match="each once"):
        train_winner(curated_path, SPLIT, config, (1, 1), tmp_path)


@pytest.mark.parametrize(("memory", "read_as"), [("memory", "compact"), ("disk", "disk")])
def test_all_trials_of_a_process_share_one_reading(whole, curated_path, tmp_path, monkeypatch, memory, read_as):
    read, reader = [], curated_file.read_curated
    monkeypatch.setattr(curated_file, "read_curated", lambda *a, **k: read.append(k["memory"]) or reader(*a, **k))
    config = replace(CONFIG, base=replace(BASE, memory=memory))
    study = search(Search(curated_path, SPLIT, config, tmp_path / "study"))
    assert read == [read_as]
    pd.testing.assert_frame_equal(trials_table(study, SPACE), trials_table(whole[1], SPACE))
    board = train_winner(curated_path, SPLIT, best_config(study, config), (1, 2), tmp_path)
    assert read == [read_as] * 2
    assert board["mean"].notna().all()


def test_a_score_reads_the_cells_of_its_part_alone(tmp_path, monkeypatch):
    data = Tiny(noise=0.3, cells=150, controls=150).data()
    split = random_split(data)
    order = split.to_numpy().argsort(kind="stable")
    data = replace(data, X=data.X[order], obs=data.obs.iloc[order])
    path = write(data, tmp_path / "sorted.h5ad")
    result = fit(path, split, replace(BASE, max_epochs=1), tmp_path / "run")
    file = curated_file.CuratedFile(path)
    file.whole("memory")
    held = score_validation(result.best_checkpoint, file, split, accelerator="cpu")
    read, rows = [], H5adSource.read_rows
    monkeypatch.setattr(
        H5adSource, "read_rows", lambda self, *span: read.append(span[1] - span[0]) or rows(self, *span)
    )
    for name in ("memory", "disk"):
        monkeypatch.setitem(READERS, name, None)
    assert score_validation(result.best_checkpoint, path, split, accelerator="cpu") == held
    assert sum(read) == 1024 + (split == "val").sum() < len(data.obs)
    assert score_validation(result.best_checkpoint, file, split, accelerator="cpu") == held
