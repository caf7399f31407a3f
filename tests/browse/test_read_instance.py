from __future__ import annotations

import urllib.request
from threading import Thread

import pytest

from perturbench_lamin.errors import InputError


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
    assert [(one.registry, one.name) for one in old.labels] == [("ULabel", "A label")]
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


def test_status_words_are_lamindbs(lamin):
    from lamindb.models.run import RUN_CODE_TO_STATUS

    from perturbench_lamin.browse.read_instance import STATUS
    from perturbench_lamin.lineage.features import METRIC_DESCRIPTION

    assert dict(RUN_CODE_TO_STATUS) == STATUS
    from perturbench_lamin.browse.checkpoints import METRIC

    assert METRIC == METRIC_DESCRIPTION


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
