"""A study's journal after a kill, a full disk and a flipped byte."""

from __future__ import annotations

import json
import os

import optuna
import pytest
from optuna.distributions import FloatDistribution
from optuna.trial import TrialState

from perturbench_lamin.errors import IntegrityError, PerturbenchError
from perturbench_lamin.training import study as studies
from perturbench_lamin.training.journal import StudyJournal

SPACE = {"lr": FloatDistribution(1e-4, 1e-2, log=True)}
PRUNER = optuna.pruners.NopPruner()


def opened(path):
    return studies.open_study(path, {"model": "linear"}, PRUNER)


def try_one(study, folder, value=1.0):
    trial = studies.next_trial(study, SPACE, 10, 0, folder / "lock")
    study.tell(trial, value)
    return trial


@pytest.fixture
def path(tmp_path):
    study = opened(tmp_path / "study.journal")
    for value in (3.0, 1.0, 2.0):
        try_one(study, tmp_path, value)
    return tmp_path / "study.journal"


def test_a_torn_last_line_is_dropped_and_said_and_its_trial_done_again(path, tmp_path, capsys):
    lines = path.read_bytes().splitlines(keepends=True)
    for kept in (1, len(lines[-1]) // 2, len(lines[-1]) - 1):
        path.write_bytes(b"".join(lines[:-1]) + lines[-1][:kept])
        study = opened(path)
        assert f"written by half ({kept} bytes)" in capsys.readouterr().err
        states = [trial.state for trial in study.get_trials()]
        assert states == [TrialState.COMPLETE] * 2 + [TrialState.RUNNING]
        try_one(study, tmp_path)
        assert len(opened(path).get_trials()) == 4
        assert capsys.readouterr().err == ""


def test_each_cut_of_a_journal_can_be_opened_and_gone_on_with(path, tmp_path):
    content = path.read_bytes()
    for size in range(0, len(content), 37):
        path.write_bytes(content[:size])
        try_one(opened(path), tmp_path)
        assert studies.best_trial(opened(path)) is not None


def test_a_disk_that_is_full_leaves_the_journal_as_it_was(path, tmp_path, monkeypatch):
    study, before = opened(path), path.read_bytes()

    def full(_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(OSError, match="No space left"):
            study.ask(SPACE)
    assert path.read_bytes() == before
    try_one(study, tmp_path)
    assert len(opened(path).get_trials()) == 4


def test_half_a_line_of_a_killed_process_does_not_spoil_the_next_line(path):
    backend = StudyJournal(path)
    with path.open("ab") as file:
        file.write(b'{"op_code":5,"wor')
    backend.append_logs([{"op_code": 2, "study_id": 0, "user_attr": {"a": 1}, "worker_id": "w"}])
    assert all(json.loads(line) for line in path.read_bytes().splitlines())
    assert opened(path).user_attrs["a"] == 1


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (b'{"op_code":5,"wor{"op_code":5}', r"not JSON \[.*study\.journal, line 3\]"),
        (b"\xff", r"not JSON \[.*line 3\]"),
        (b"", r"not JSON \[.*line 3\]"),
        (b"[]", r"no entry of a study \[.*line 3\]"),
        (b"{}", r"no entry of a study \[.*line 3\]"),
        (b'{"op_code":99,"worker_id":"w","crc32":1}', r"another checksum \[.*line 3\]"),
        (b'{"op_code":2,"study_id":0,"user_attr":{"a":1},"worker_id":"w"}', r"checksum is missing \[.*line 3\]"),
    ],
)
def test_damage_elsewhere_names_the_line(path, line, message):
    lines = path.read_bytes().splitlines()
    lines[2] = line
    path.write_bytes(b"\n".join(lines) + b"\n")
    with pytest.raises(IntegrityError, match=message):
        opened(path)


def test_a_journal_of_an_earlier_version_is_read_and_its_contradictions_are_an_error(path):
    old = [
        {key: value for key, value in json.loads(line).items() if key != "crc32"}
        for line in path.read_text().splitlines()
    ]
    path.write_text("".join(json.dumps(entry) + "\n" for entry in old))
    assert [trial.values[0] for trial in opened(path).get_trials()] == [3.0, 1.0, 2.0]
    path.write_text("".join(json.dumps(entry | {"op_code": 99}) + "\n" for entry in old))
    with pytest.raises(IntegrityError, match="journal is damaged"):
        opened(path)


def test_a_flipped_bit_is_refused_or_changes_nothing(path):
    content, whole = path.read_bytes(), opened(path).get_trials()
    for at in range(0, len(content), 11):
        damaged = bytearray(content)
        damaged[at] ^= 2
        path.write_bytes(damaged)
        try:
            # The last line's end is torn, not damaged: its trial is not finished then.
            assert opened(path).get_trials()[:2] == whole[:2]
        except PerturbenchError as error:
            assert "study.journal" in str(error)  # noqa: PT017
