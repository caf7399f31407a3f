from __future__ import annotations

from perturbench_lamin.lineage import keys


def test_only_a_completed_run_counts_for_its_fingerprint(lamin, run):
    from perturbench_lamin.lineage import runs

    runs.remember(run, "digest")
    assert runs.completed("digest") is None
    runs.close(run, runs.Status.COMPLETED)
    assert runs.completed("digest").uid == run.uid
    assert runs.completed("other") is None


def test_runs_left_by_a_kill_are_aborted_only_for_this_folder(lamin, tmp_path):
    from perturbench_lamin.lineage import runs

    ours = runs.start_chain_run("ours", {}, tmp_path / "ours")
    theirs = runs.start_chain_run("theirs", {}, tmp_path / "theirs")
    transform = lamin.Transform(key="some-notebook", kind="pipeline").save()
    child = lamin.Run(transform, status="started", initiated_by_run=ours).save()
    done = lamin.Run(transform, status="started", initiated_by_run=ours).save()
    runs.close(done, runs.Status.COMPLETED)
    assert runs.abort_left_behind(tmp_path / "ours") == 1
    status = {found.uid: found.status for found in lamin.Run.filter()}
    assert status[child.uid] == status[ours.uid] == "aborted"
    assert status[done.uid] == "completed"
    assert status[theirs.uid] == "started"
    assert ours.transform.key == keys.CHAIN_TRANSFORM


def test_a_notebook_cut_off_by_the_kill_does_not_stop_the_next_chain(lamin, tmp_path):
    from perturbench_lamin.lineage import runs

    cut = tmp_path / "cut.ipynb"
    cut.write_text('{"cells": [{"cell_type": "co')
    chain = runs.start_chain_run("cut", {}, tmp_path)
    runs.announce(chain, cut, tmp_path / "cache")
    transform = lamin.Transform(key="cut-notebook", kind="pipeline").save()
    child = lamin.Run(transform, status="started", initiated_by_run=chain).save()
    assert runs.abort_left_behind(tmp_path) == 1
    assert lamin.Run.get(child.uid).status == "aborted"
