"""Chains of tiny notebooks on a real instance: cache, versions, failures and kills."""

from __future__ import annotations

import os
import re
import shutil
import signal
import time
from pathlib import Path

import pytest
import tiny

pytestmark = pytest.mark.chain

RUNS = "[[r.transform.key, r.status, bool(r.report), bool(r.environment)] for r in ln.Run.filter().order_by('id')]"


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A folder where the chain has run once; tests work on copies of nothing: each changes its own number."""
    root = tmp_path_factory.mktemp("chain")
    tiny.write_notebooks(root)
    first = tiny.run(root, 1)
    assert tiny.states(first) == {"make": "done", "double": "done", "other": "done"}
    return root, first


def test_the_same_chain_again_executes_nothing(finished):
    root, first = finished
    runs = tiny.query(root, "ln.Run.filter().count()")
    again = tiny.run(root, 1)
    assert set(tiny.states(again).values()) == {"kept"}
    assert {name: result[2:] for name, result in again.items()} == {name: result[2:] for name, result in first.items()}
    assert tiny.query(root, "ln.Run.filter().count()") == runs


def test_everything_is_recorded(finished):
    root, _ = finished
    steps = [run for run in tiny.query(root, RUNS) if run[0].startswith("tiny/")][:3]
    assert sorted(steps) == [[f"tiny/{name}.ipynb", "completed", True, True] for name in ("double", "make", "other")]
    sources = tiny.query(root, "[t.source_code for t in ln.Transform.filter(key='tiny/double.ipynb')]")
    assert "Twice the number" in sources[0]
    parents = tiny.query(root, "[r.initiated_by_run.transform.key for r in ln.Run.filter(transform__kind='notebook')]")
    assert set(parents) == {"perturbench_lamin/chain"}
    assert tiny.query(root, "ln.Run.filter(transform__key='tiny/make.ipynb').first().params") == {"number": 1}


def test_a_parameter_reruns_what_depends_on_it_and_going_back_reruns_nothing(finished):
    root, first = finished
    changed = tiny.run(root, 2)
    assert set(tiny.states(changed).values()) == {"done"}
    versions = tiny.query(root, "[a.uid for a in ln.Artifact.filter(key='tiny/doubled.txt').order_by('id')]")
    assert versions == [first["double"][2]["tiny/doubled.txt"], changed["double"][2]["tiny/doubled.txt"]]
    back = tiny.run(root, 1)
    assert set(tiny.states(back).values()) == {"kept"}
    assert back["double"][2] == first["double"][2]


def test_an_edit_that_changes_no_output_stops_there_and_one_that_does_goes_on(finished):
    root, first = finished
    notebooks = root / "notebooks" / "tiny"
    tiny.write_notebook(notebooks, "make", tiny.MAKE + "\n# a remark")
    edited = tiny.run(root, 1)
    assert tiny.states(edited) == {"make": "done", "double": "kept", "other": "kept"}
    assert edited["make"][2] == first["make"][2], "the same content is the same artifact"
    assert tiny.query(root, "ln.Transform.filter(key='tiny/make.ipynb').count()") == 2

    tiny.write_notebook(notebooks, "double", tiny.DOUBLE.replace("2 * value", "20 * value"))
    changed = tiny.run(root, 1)
    assert tiny.states(changed) == {"make": "kept", "double": "done", "other": "kept"}
    tiny.write_notebooks(root)


def test_a_changed_file_from_outside_is_noticed(finished):
    root, _ = finished
    source = root / "source.txt"
    source.write_text("50")
    assert set(tiny.states(tiny.run(root, 0, str(source))).values()) == {"done"}
    assert set(tiny.states(tiny.run(root, 0, str(source))).values()) == {"kept"}
    source.write_text("51")
    assert set(tiny.states(tiny.run(root, 0, str(source))).values()) == {"done"}


def test_a_lost_or_forged_file_of_the_store_is_named_and_made_again(finished):
    root, _ = finished
    first = tiny.run(root, 70)
    assert set(tiny.states(first).values()) == {"done"}
    lost, forged = (
        Path(tiny.query(root, f"ln.Artifact.get('{first[step][2][key]}').path.as_posix()"))
        for step, key in (("other", "tiny/other.txt"), ("double", "tiny/doubled.txt"))
    )
    lost.unlink()
    forged.write_text("141")
    again = tiny.run(root, 70)
    assert tiny.states(again) == {"make": "kept", "double": "done", "other": "done"}
    assert [result[2] for result in again.values()] == [result[2] for result in first.values()]
    assert forged.read_text() == "140"
    assert lost.exists()
    assert again["other"][4] == [f"tiny/other.txt ({first['other'][2]['tiny/other.txt']}) is gone"]
    assert "was altered since it was registered" in again["double"][4][0]


@pytest.mark.parametrize("how", ["raise", "die"])
def test_a_failing_notebook_is_errored_and_reported_and_the_next_run_goes_on(finished, how):
    root, _ = finished
    number = {"raise": 100, "die": 101}[how]
    behave = root / "behave"
    behave.write_text(how)
    failed = tiny.run(root, number)
    assert tiny.states(failed) == {"make": "done", "double": "failed", "other": "done"}
    if how == "raise":
        assert failed["double"][1] == "ValueError: told to fail"
    else:
        log = re.search(r"the kernel's own words: (.*)\)", failed["double"][1])[1]
        assert "last words" in Path(log).read_text()
    status, source, environment, report, told = tiny.query(
        root,
        "(lambda r: [r.status, r.transform.source_code, r.environment.path.read_text(), r.report.path.read_text(), "
        "r.extra_data['problem']])"
        f"(ln.Run.get('{failed['double'][3]}'))",
    )
    assert status == "errored"
    assert told == failed["double"][1], "the run itself says why"
    assert "path.write_text(str(2 * value))" in source
    assert "lamindb" in environment
    assert ("Traceback" in report) == (how == "raise")
    behave.unlink()
    mended = tiny.run(root, number)
    assert tiny.states(mended) == {"make": "kept", "double": "done", "other": "kept"}


@pytest.mark.parametrize("sign", [signal.SIGKILL, signal.SIGTERM])
def test_a_killed_chain_leaves_nothing_half_and_the_next_run_goes_on(finished, sign):
    root, _ = finished
    number = 200 + int(sign)
    behave = root / "behave"
    behave.write_text("wait")
    waiting = root / "behave.waiting"
    waiting.unlink(missing_ok=True)
    process = tiny.start(root, number)
    deadline = time.monotonic() + 120
    while not waiting.exists():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.2)
    process.send_signal(sign)
    process.wait(timeout=60)
    process.communicate()
    kernel = int(waiting.read_text())
    while _alive(kernel):  # the kernel ends with the chain
        assert time.monotonic() < deadline
        time.sleep(0.2)
    behave.unlink()
    resumed = tiny.run(root, number)
    assert tiny.states(resumed)["make"] == "kept"
    assert tiny.states(resumed)["double"] == "done"
    runs = "[[r.status, bool(r.transform.source_code)] for r in ln.Run.filter(transform__key='tiny/double.ipynb')"
    assert tiny.query(root, f"{runs}.order_by('id')]")[-2:] == [["aborted", True], ["completed", True]]
    assert "started" not in tiny.query(root, "[r.status for r in ln.Run.filter()]")


def test_a_second_chain_in_the_folder_waits_its_turn(finished):
    root, _ = finished
    behave = root / "behave"
    behave.write_text("wait")
    waiting = root / "behave.waiting"
    waiting.unlink(missing_ok=True)
    first = tiny.start(root, 300)
    while not waiting.exists():
        assert first.poll() is None
        time.sleep(0.2)
    second = tiny.start(root, 301)
    _, err = second.communicate(timeout=60)
    assert second.returncode == 1
    assert "Another chain is running in this folder" in err
    assert str(first.pid) in err
    first.kill()
    first.communicate()
    behave.unlink()


def test_it_works_under_continuous_integration_too(tmp_path):
    tiny.write_notebooks(tmp_path)
    assert set(tiny.states(tiny.run(tmp_path, 5, ci=True)).values()) == {"done"}
    shutil.rmtree(tmp_path / "instance")


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
