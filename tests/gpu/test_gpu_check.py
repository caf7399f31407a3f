"""The check on a GPU runs, small and on a CPU: every stage passes, and what it finds stands in the report."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).with_name("gpu_check.py")


@pytest.fixture(scope="module")
def check():
    spec = importlib.util.spec_from_file_location("gpu_check", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    sys.modules["gpu_check"] = module  # dataclasses look it up
    spec.loader.exec_module(module)
    yield module
    del sys.modules["gpu_check"]


@pytest.mark.timeout(2400)  # two minutes of work, in a dozen processes
def test_every_stage_passes_on_a_cpu(check, tmp_path, capsys):
    assert check.main(["--device", "cpu", "--tiny", "--out", str(tmp_path / "gpu.md")]) == 0, capsys.readouterr().out
    report = (tmp_path / "gpu.md").read_text(encoding="utf-8")
    assert report.count("\nPassed. ") == len(check.STAGES) == 4
    for row in ("| control_mean |", "| cpa |", "| sams_vae, bf16-mixed |", "| evaluate,", "| train --resume |"):
        assert row in report


def test_the_stages_together_take_less_than_eight_minutes(check):
    assert sum(limit for _, limit in check.STAGES.values()) < 8 * 60


def test_a_stage_that_fails_is_reported_and_the_next_one_runs(check, tmp_path, monkeypatch, capsys):
    rows = [{"what": "linear", "failed": "loss off by more than 0.0001"}]
    answers = {"agreement": (0, rows, ""), "speed": (1, None, "Traceback …\nValueError: no memory"), "scores": None}

    def run(command, *, timeout, **_):
        answer = answers[command[command.index("--stage") + 1]]
        if answer is None:
            raise check.subprocess.TimeoutExpired(command, timeout)
        if answer[1]:
            Path(command[command.index("--rows") + 1]).write_text(json.dumps(answer[1]))
        return check.subprocess.CompletedProcess(command, answer[0], "", answer[2])

    monkeypatch.setattr(check, "machine", lambda *_: {"device": "none"})
    monkeypatch.setattr(check.subprocess, "run", run)
    stages = [word for name in answers for word in ("--stage", name)]
    out = tmp_path / "gpu.md"
    assert check.main(["--device", "cuda", "--wheels", str(tmp_path), "--out", str(out), *stages]) == 1
    report = out.read_text(encoding="utf-8")
    assert "**Failed**: linear: loss off by more than 0.0001." in report
    assert "**Failed**: ValueError: no memory." in report
    assert "**Failed**: took more than 80 s." in report


@pytest.mark.parametrize(("value", "bad"), [(9e-5, False), (2e-4, True), (float("nan"), True)])
def test_what_differs_by_too_much_fails(check, value, bad):
    assert ("failed" in check.judged({"loss off by": value})) == bad
