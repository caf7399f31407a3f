from __future__ import annotations

import urllib.request
from threading import Thread

import pytest

from perturbench_lamin.errors import ChainError, InputError


def test_a_real_instance_is_read_whole(lamin, run, tmp_path):
    from perturbench_lamin.browse.read_instance import read_instance
    from perturbench_lamin.lineage import artifacts

    path = tmp_path / "table.csv"
    path.write_text("a,b\n1,2\n")
    first = artifacts.save(path, "browse/table.csv", "A table", features={"dataset": "norman19", "n_cells": 5})
    label = lamin.ULabel(name="A label").save()
    first.ulabels.add(label)
    path.write_text("a,b\n1,3\n")
    second = artifacts.save(path, "browse/table.csv", "A table")
    reader = lamin.Run(run.transform, status="started").save()
    reader.input_artifacts.add(second)
    first.recreating_runs.add(reader)
    reader._status_code = 1
    reader.save()

    snapshot = read_instance()
    old, new = snapshot.artifacts[first.uid], snapshot.artifacts[second.uid]
    assert (old.is_latest, new.is_latest, old.stem == new.stem) == (False, True, True)
    assert old.value("n_cells") == 5
    named = {(one.registry, one.name) for one in old.labels}
    assert named == {("ULabel", "A label"), ("ULabel", "norman19"), ("Project", "perturbench-lamin")}
    assert new.path == second.path
    assert new.path.is_file()
    assert snapshot.runs[run.uid].outputs == (first.uid, second.uid)
    assert (snapshot.runs[reader.uid].inputs, snapshot.runs[reader.uid].recreated) == ((second.uid,), (first.uid,))
    assert snapshot.runs[reader.uid].status == "errored"
    assert snapshot.transforms[run.transform.uid].key == "test-pipeline"

    second.delete(permanent=False)
    assert read_instance().artifacts[second.uid].trashed


def test_the_number_of_queries_does_not_grow(lamin, run, tmp_path):
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    from perturbench_lamin.browse.read_instance import read_instance
    from perturbench_lamin.lineage import artifacts

    counts = []
    for number in range(2):
        for i in range(3):
            path = tmp_path / f"file{number}{i}.txt"
            path.write_text(f"{number} {i}")
            artifacts.save(path, f"many/file{number}{i}.txt", "One of many", features={"n_cells": i})
        with CaptureQueriesContext(connection) as queries:
            read_instance()
        counts.append(len(queries))
    assert counts[0] == counts[1]


def test_metrics_are_told_by_the_description_of_their_feature(lamin):
    from perturbench_lamin.browse.checkpoints import METRIC
    from perturbench_lamin.lineage.features import METRIC_DESCRIPTION

    assert METRIC == METRIC_DESCRIPTION


def test_the_verb_makes_no_instance_where_there_is_none(tmp_path):
    from click.testing import CliRunner

    from perturbench_lamin.cli.main import cli

    arguments = ["browse", "--instance", str(tmp_path), "--out", str(tmp_path / "site")]
    result = CliRunner().invoke(cli, arguments)
    assert isinstance(result.exception, ChainError)
    assert "There is no instance" in str(result.exception)
    assert list(tmp_path.iterdir()) == []


def test_the_verb_writes_the_site_of_the_connected_instance(lamin, run, tmp_path, monkeypatch):
    from click.testing import CliRunner

    from perturbench_lamin.cli.main import cli

    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(cli, ["browse", "--out", str(tmp_path / "site")])
    assert result.exception is None, result.output
    assert "Written" in result.output
    assert (tmp_path / "site" / "run" / f"{run.uid}.html").is_file()


def test_serving_is_for_this_machine_only(tmp_path):
    from perturbench_lamin.browse.serve import server

    (tmp_path / "index.html").write_text("hello")
    with server(tmp_path) as running:
        thread = Thread(target=running.serve_forever)
        thread.start()
        host, port = running.server_address[:2]
        assert host == "127.0.0.1"
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/") as answer:
            assert answer.read() == b"hello"
        with pytest.raises(InputError, match="Cannot serve"):
            server(tmp_path, port)
        running.shutdown()
        thread.join()
