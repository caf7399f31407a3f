from __future__ import annotations

import nbformat
import nbformat.v4 as nb
import pytest

from perturbench_lamin.lineage import keys


def test_only_a_completed_run_counts_for_its_fingerprint(lamin, run):
    from perturbench_lamin.lineage import runs

    runs.remember(run, "digest")
    assert runs.completed("digest") is None
    runs.close(run, runs.Status.COMPLETED)
    assert runs.completed("digest").uid == run.uid
    assert runs.completed("other") is None


def test_runs_left_by_a_kill_are_aborted_only_for_this_folder(lamin, tmp_path):
    from perturbench_lamin.lineage import left_behind, runs

    ours = runs.start_chain_run("ours", {}, tmp_path / "ours")
    theirs = runs.start_chain_run("theirs", {}, tmp_path / "theirs")
    transform = lamin.Transform(key="some-notebook", kind="pipeline").save()
    child = lamin.Run(transform, status="started", initiated_by_run=ours).save()
    done = lamin.Run(transform, status="started", initiated_by_run=ours).save()
    runs.close(done, runs.Status.COMPLETED)
    assert left_behind.settle(tmp_path / "ours") == 1
    status = {found.uid: found.status for found in lamin.Run.filter()}
    assert status[child.uid] == status[ours.uid] == "aborted"
    assert status[done.uid] == "completed"
    assert status[theirs.uid] == "started"
    assert ours.transform.key == keys.CHAIN_TRANSFORM


def test_a_notebook_cut_off_by_the_kill_does_not_stop_the_next_chain(lamin, tmp_path):
    from perturbench_lamin.lineage import left_behind, runs

    cut = tmp_path / "cut.ipynb"
    cut.write_text('{"cells": [{"cell_type": "co')
    chain = runs.start_chain_run("cut", {}, tmp_path)
    runs.announce(chain, cut, tmp_path / "cache", {})
    transform = lamin.Transform(key="cut-notebook", kind="pipeline").save()
    child = lamin.Run(transform, status="started", initiated_by_run=chain).save()
    assert left_behind.settle(tmp_path) == 1
    assert lamin.Run.get(child.uid).status == "aborted"


@pytest.fixture
def finished(lamin, tmp_path):
    """A chain that was killed after its notebook's ``ln.finish()``: chain, run, and where the notebook lies."""
    from perturbench_lamin.lineage import runs

    executed = tmp_path / "finished.ipynb"
    nbformat.write(nb.new_notebook(cells=[nb.new_code_cell("1 + 1")]), executed)
    packages = tmp_path / "packages.txt"
    packages.write_text(f"one=={tmp_path.name}")
    chain = runs.start_chain_run("finished", {}, tmp_path)
    runs.announce(chain, executed, tmp_path / "cache", {"commit": "abc", "clean": True, "source": "", "moved": False})
    transform = lamin.Transform(key=f"{tmp_path.name}.ipynb", kind="notebook", source_code="1 + 1").save()
    child = lamin.Run(transform, status="started", initiated_by_run=chain).save()
    child.environment = lamin.Artifact(packages, description="requirements", kind="__lamindb_run__", run=False).save()
    runs.close(child, runs.Status.COMPLETED)
    return chain, child, executed


def test_a_run_killed_before_its_report_gets_it(lamin, finished, tmp_path):
    from perturbench_lamin.lineage import left_behind

    chain, child, _ = finished
    assert left_behind.settle(tmp_path) == 0
    settled = lamin.Run.get(child.uid)
    assert settled.status == "completed"
    assert "</html>" in settled.report.path.read_text()
    assert settled.extra_data["code"]["commit"] == "abc"
    assert settled.reference is None, "what it was made from is not sure any more: its step runs again"
    assert lamin.Run.get(chain.uid).status == "aborted"


@pytest.mark.parametrize("lost", ["notebook", "environment", "later"])
def test_a_run_that_cannot_be_made_whole_is_not_completed(lamin, finished, tmp_path, lost):
    from perturbench_lamin.lineage import left_behind, runs

    chain, child, executed = finished
    if lost == "notebook":
        executed.write_text('{"cells": [{"cell_type": "co')
    elif lost == "environment":
        child.environment = None
        child.save()
    else:  # an earlier version closed the chain and left the run
        runs.close(chain, runs.Status.ABORTED)
    assert left_behind.settle(tmp_path) == 1
    assert lamin.Run.get(child.uid).status == "aborted"


@pytest.mark.parametrize("left", ["", "run_env_pip.txt", "uv.lock"])
def test_a_run_without_a_list_of_packages_gets_one(lamin, run, tmp_path, left):
    """LaminDB lists none in an environment that has neither pip nor a lock file."""
    from perturbench_lamin.lineage import sources

    folder = tmp_path / "environments" / f"run_{run.uid}"
    folder.mkdir(parents=True)
    if left:
        (folder / left).write_text(f"left by the kernel {tmp_path}")
    sources.keep_environment(run, tmp_path)
    assert bool(run.environment) == bool(left)
    sources.keep_environment(run, tmp_path, or_todays=True)
    assert ("lamindb==" in run.environment.path.read_text()) == (not left)
    kept = run.environment.path.read_text()
    run.environment.path.write_text("forged")
    sources.keep_environment(run, tmp_path)
    assert run.environment.path.read_text() == kept
