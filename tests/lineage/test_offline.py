"""The work-around for LaminDB offline works, and is still needed."""

from __future__ import annotations

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


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        (["papermill", "in.ipynb", "out.ipynb", "-p", "x", "1"], "in.ipynb"),
        (["/venv/bin/python", "/venv/bin/papermill", "--log-output", "in.ipynb", "out.ipynb"], "in.ipynb"),
        (["python", "-m", "papermill", "in.ipynb", "out.ipynb"], "in.ipynb"),
        (["papermill", "missing.ipynb", "out.ipynb"], None),
        (["jupyter", "lab", "in.ipynb"], None),
        ([], None),
    ],
)
def test_the_notebook_is_read_from_papermills_command_line(tmp_path, command, expected):
    (tmp_path / "in.ipynb").write_text("{}")
    found = offline.papermill_source(command, tmp_path)
    assert found == (tmp_path / expected if expected else None)


def test_the_variables_name_the_notebook_by_its_whole_path(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    variables = offline.notebook_variables(Path("a.ipynb"))
    assert variables[offline.NOTEBOOK_PATH_VARIABLE] == str(tmp_path / "a.ipynb")
