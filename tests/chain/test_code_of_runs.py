"""A bug in the package is mended between two calls: what runs again, what is recorded, what can be repeated."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import tiny

pytestmark = pytest.mark.chain

PACKAGE = Path(__file__).resolve().parents[2] / "perturbench_lamin"
BUGGY = "def twice(number):\n    return 3 * number\n"
OTHER = """    Step("other", "tiny/other.ipynb", inputs={"number_file": made}, outputs=("tiny/other.txt",)),
"""
DOUBLE = """
from pathlib import Path
from perturbench_lamin.tiny_sums import twice
path = Path(work_folder) / "doubled.txt"
path.write_text(str(twice(int(artifacts.load(number_file).read_text()))))
artifacts.save(path, "tiny/doubled.txt", "Twice the number")
"""


@pytest.fixture
def chain(tmp_path, monkeypatch):
    """A folder with notebooks and a copy of the package, which has a module more, with a bug."""
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(PACKAGE, tmp_path / "copy" / PACKAGE.name, ignore=ignored)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "copy"))
    monkeypatch.chdir(tmp_path)  # python -c looks there first
    monkeypatch.setattr(tiny, "RUN", tiny.RUN.replace(OTHER, ""))
    tiny.write_notebooks(tmp_path)
    tiny.write_notebook(tmp_path / "notebooks" / "tiny", "double", DOUBLE)
    sums = tmp_path / "copy" / PACKAGE.name / "tiny_sums.py"
    sums.write_text(BUGGY)
    return tmp_path, sums


def reproduce(root, *arguments):
    """Call the verb on the chain's instance: its exit code and what it said."""
    verb = [sys.executable, "-c", "from perturbench_lamin.cli import main; main()", "reproduce"]
    command = [*verb, *map(str, arguments), "--instance", str(root / "instance")]
    variables = tiny.environment(root, ci=False)
    done = subprocess.run(command, cwd=root, env=variables, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


def value(root, uid):
    return Path(tiny.query(root, f"ln.Artifact.get('{uid}').path.as_posix()")).read_text()


def test_a_mended_bug_reruns_the_steps_that_it_touches_and_the_old_code_can_be_run_again(chain):
    root, sums = chain
    compiled = (sums.stat().st_atime, sums.stat().st_mtime)
    first = tiny.run(root, 7)
    assert tiny.states(first) == {"make": "done", "double": "done"}, first
    (buggy,) = first["double"][2].values()
    assert value(root, buggy) == "21"

    sums.write_text(f"# a remark\n{BUGGY}")
    assert set(tiny.states(tiny.run(root, 7)).values()) == {"kept"}

    sums.write_text(BUGGY.replace("3", "2"))
    os.utime(sums, compiled)  # the same size and time as what Python compiled: it would run that
    mended = tiny.run(root, 7)
    assert tiny.states(mended) == {"make": "kept", "double": "done"}
    assert value(root, *mended["double"][2].values()) == "14"

    uids = [first["make"][3], first["double"][3]]
    records = tiny.query(root, f"[ln.Run.get(uid).extra_data['code'] for uid in {uids}]")
    assert records[0]["source"] == records[1]["source"], "one copy of the same code"
    assert "perturbench_lamin.tiny_sums" in records[1]["modules"]
    assert "perturbench_lamin.tiny_sums" not in records[0]["modules"]
    assert not any(record["commit"] or record["clean"] or record["moved"] for record in records)

    code, said = reproduce(root, buggy, "--dry-run")
    assert code == 0, said
    assert said.count("today's code is not the record's: perturbench_lamin.tiny_sums") == 1
    code, said = reproduce(root, buggy, "--code", "recorded")
    assert code == 0, said
    assert "Reproduced: all 2 steps gave the same again." in said
    assert "Code: 1 files of today's are not the record's: perturbench_lamin.tiny_sums" in said
