"""The work-around for LaminDB offline works, and is still needed."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from perturbench_lamin.lineage import offline

PROBE = """
import lamindb_setup
from lamindb_setup.core._settings_instance import InstanceSettings
import lamindb_setup.core._hub_client as hub

class Asked(Exception): pass
def ask(*args, **kwargs): raise Asked
hub.call_with_fallback = hub.call_with_fallback_auth = ask

class Instance:
    _is_on_hub = None
    class _id: hex = "0"
answer = InstanceSettings.is_on_hub.fget
assert answer(Instance()) is False, "the hub was not answered for"
original = answer.__closure__ and [c.cell_contents for c in answer.__closure__ if callable(c.cell_contents)][0]
try:
    original(Instance())
except Asked:
    print("still needed")
"""


def test_an_anonymous_user_never_asks_the_hub_and_lamindb_still_would(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", PROBE],
        capture_output=True,
        text=True,
        env={"LAMIN_SETTINGS_DIR": str(tmp_path), "HOME": str(tmp_path)},
        cwd=tmp_path,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip().endswith("still needed"), "LaminDB no longer asks: drop _answer_for_the_hub"


def write_notebook(path, *sources):
    cells = [{"cell_type": "code", "source": source.splitlines(keepends=True)} for source in sources]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"cells": cells}))


TRACK = 'import lamindb as ln\nln.track("a")'


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        (["papermill", "in.ipynb", "out.ipynb", "-p", "x", "1"], "in.ipynb"),
        (["/venv/bin/python", "/venv/bin/papermill", "--log-output", "in.ipynb", "out.ipynb"], "in.ipynb"),
        (["python", "-m", "papermill", "in.ipynb", "out.ipynb"], "in.ipynb"),
        (["papermill", "missing.ipynb", "out.ipynb"], None),
        (["python", "/venv/bin/jupyter-nbconvert", "--to", "notebook", "--execute", "in.ipynb"], "in.ipynb"),
        (["python", "/venv/bin/jupyter-nbconvert", "--execute", "--output", "done", "in"], "in.ipynb"),
        (["python", "-m", "nbconvert", "--execute", "other.ipynb", "in.ipynb"], "in.ipynb"),
        (["python", "/venv/bin/jupyter-execute", "in.ipynb"], "in.ipynb"),
        (["python", "script.py"], "in.ipynb"),
        (["python", "script.py", "far/there/copy.ipynb"], "far/there/copy.ipynb"),
        (["python", "-m", "ipykernel_launcher", "-f", "kernel.json"], "in.ipynb"),
        (["jupyter", "lab", "in.ipynb"], None),
        (["python", "/venv/bin/jupyter-lab", "in.ipynb"], None),
        (["python", "-m", "notebook", "in.ipynb"], None),
    ],
)
def test_the_notebook_is_read_from_the_command_or_found_by_its_cells(tmp_path, monkeypatch, command, expected):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("JPY_SESSION_NAME", raising=False)
    write_notebook(tmp_path / "in.ipynb", "x = 1", TRACK, "x + 1")
    write_notebook(tmp_path / "other.ipynb", "x = 1", 'import lamindb as ln\nln.track("b")')
    write_notebook(tmp_path / "far/there/copy.ipynb", "x = 3", TRACK, "x + 1")
    found = offline.executed_source(command, tmp_path, ["", "x = 2", TRACK])
    assert found == (tmp_path / expected if expected else None)


def test_a_notebook_is_not_guessed(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    script = ["python", "script.py"]
    write_notebook(tmp_path / "rooms/one.ipynb", "x = 1", TRACK, "x + 1")
    (tmp_path / "broken.ipynb").write_text("{")
    assert offline.executed_source(script, tmp_path, ["x = 1", TRACK]) == tmp_path / "rooms/one.ipynb"
    assert offline.executed_source(script, tmp_path, ["import lamindb as ln"]) is None
    assert offline.executed_source(script, tmp_path, []) is None
    executed = (tmp_path / "rooms/one.ipynb").read_text().replace("{", '{"outputs": [{"output_type": "stream"}], ')
    (tmp_path / "an_executed_copy.ipynb").write_text(executed)
    assert offline.executed_source(script, tmp_path, ["x = 1", TRACK]) == tmp_path / "rooms/one.ipynb"
    write_notebook(tmp_path / "rooms/two.ipynb", "x = 1", TRACK, "x + 2")
    assert offline.executed_source(script, tmp_path, ["x = 1", TRACK]) is None, "two that differ later on"
    monkeypatch.setenv("JPY_SESSION_NAME", "rooms/one.ipynb")
    assert offline.executed_source(script, tmp_path, ["x = 1", TRACK]) is None, "an editor knows"


def test_the_variables_name_the_notebook_by_its_whole_path(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    variables = offline.notebook_variables(Path("a.ipynb"))
    assert variables[offline.NOTEBOOK_PATH_VARIABLE] == str(tmp_path / "a.ipynb")
