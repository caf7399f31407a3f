"""Files in a bucket of an S3 server that runs here."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
import urllib.request
import warnings
from pathlib import Path

import pandas as pd
import pytest

from perturbench_lamin.errors import IntegrityError
from perturbench_lamin.lineage.instance import Instance

pytest.importorskip("moto", reason="needs an S3 server: moto[server]")


@pytest.fixture(scope="module")
def endpoint():
    """The address of a server with one bucket."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    server = subprocess.Popen([sys.executable, "-m", "moto.server", "-p", str(port)], **quiet)
    address = f"http://127.0.0.1:{port}"
    patch = pytest.MonkeyPatch()
    for name, value in {"ACCESS_KEY_ID": "x", "SECRET_ACCESS_KEY": "x", "DEFAULT_REGION": "us-east-1"}.items():
        patch.setenv(f"AWS_{name}", value)
    try:
        _wait(server, address)
        urllib.request.urlopen(urllib.request.Request(f"{address}/bench", method="PUT"))
        yield address
    finally:
        server.terminate()
        server.wait()
        patch.undo()


def _wait(server, address):
    deadline = time.monotonic() + 120
    while True:
        assert server.poll() is None
        assert time.monotonic() < deadline
        try:
            urllib.request.urlopen(address)
        except OSError:
            time.sleep(0.1)
        else:
            return


@pytest.fixture
def bucket(lamin, endpoint, run):
    """LaminDB writes to the bucket; ``put(name, content)`` writes to it directly."""
    local = lamin.setup.settings.instance._storage
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the storage's client
        url = f"s3://bench/prefix?endpoint_url={endpoint}"
        lamin.Storage(url).save()
        lamin.settings.storage = url
        yield lamin
    lamin.setup.settings.instance._storage = local


def save(folder: Path, content: str, key: str):
    from perturbench_lamin.lineage import artifacts

    path = folder / "file.csv"
    path.write_text(content)
    return artifacts.save(path, key, "A table", features={"dataset": "norman19"})


def test_versions_of_one_second_keep_their_own_content(bucket, tmp_path):
    from perturbench_lamin.lineage import artifacts

    saved = {}
    for content in ("first", "other", "third"):
        artifact = save(tmp_path, content, "remote/versions.csv")
        assert str(artifact.path).startswith("s3://bench/prefix/")
        assert artifacts.load("remote/versions.csv").read_text() == content
        saved[artifact.uid] = content
    assert len(saved) == 3
    assert {uid: artifacts.load(uid).read_text() for uid in saved} == saved


def test_what_the_storage_holds_counts(bucket, tmp_path):
    from perturbench_lamin.lineage import artifacts
    from perturbench_lamin.lineage.intact import trouble_of

    artifact = save(tmp_path, "a,b\n1,2\n", "remote/checked.csv")
    artifacts.load(artifact.uid).write_text("forged in the cache")
    assert artifacts.load(artifact.uid).read_text() == "a,b\n1,2\n"
    assert trouble_of(artifact) == ""

    time.sleep(1.1)  # storage has whole seconds
    artifact.path.write_text("forged in the storage")
    assert trouble_of(artifact) == "altered"
    with pytest.raises(IntegrityError, match="was altered since it was registered"):
        artifacts.load(artifact.uid)
    assert save(tmp_path, "a,b\n1,2\n", "remote/checked.csv").uid == artifact.uid, "saved again, it is restored"
    assert artifacts.load(artifact.uid).read_text() == "a,b\n1,2\n"

    artifact.path.unlink()
    assert trouble_of(artifact) == "gone"
    with pytest.raises(IntegrityError, match="is gone"):
        artifacts.load(artifact.uid)


def test_a_leaderboard_in_the_storage_is_shown_with_a_command_that_can_be_pasted(bucket, tmp_path, capsys):
    from perturbench_lamin.cli.steps import _show_artifact, _show_leaderboard

    columns = {"dataset": "d", "task": "t", "split": "test", "profile": "p", "model": "m", "metric": "rmse_average"}
    board = pd.DataFrame([{**columns, "mean": 0.5, "sd": 0.1, "n_seeds": 2, "place": 1}])
    artifact = save(tmp_path, board.to_csv(index=False), "leaderboards/remote/t.csv")
    instance = Instance("owner/name", tmp_path / "a folder", by_slug=True)
    for show in (_show_leaderboard, _show_artifact):
        show(artifact.key, artifact.uid, instance)
        told = capsys.readouterr().out
        assert f"perturbench-lamin lineage {artifact.uid} --instance owner/name\n" in told
        assert ("0.5 ± 0.1" in told) == (show is _show_leaderboard)


def test_pages_show_files_of_the_storage_once_they_are_seen_to_be_intact(bucket, tmp_path, monkeypatch):
    from perturbench_lamin.browse import read_instance as module
    from perturbench_lamin.browse.files_state import FileState, file_states
    from perturbench_lamin.browse.read_instance import read_instance

    shown = save(tmp_path, "a,b\n1,2\n", "remote/shown.csv")
    gone = save(tmp_path, "a,b\n3,4\n", "remote/gone.csv")
    other = tmp_path / "other.bin"
    other.write_bytes(b"not shown")
    other = bucket.Artifact(other, key="remote/other.bin", run=False).save()
    gone.path.unlink()

    records = read_instance().artifacts
    states = file_states(records.values(), verify=False)
    found = [states[one.uid] for one in (shown, gone, other)]
    assert found == [FileState.VERIFIED, FileState.GONE, FileState.REMOTE]
    assert records[shown.uid].path.read_text() == "a,b\n1,2\n"
    assert records[shown.uid].location.startswith("s3://bench/prefix")
    states = file_states(read_instance(fetch_all=True).artifacts.values(), verify=True)
    assert states[other.uid] is FileState.VERIFIED

    def no_network(artifact):
        raise ConnectionError("no network")

    monkeypatch.setattr(module, "local_copy", no_network)
    with pytest.warns(UserWarning, match="Files in s3://bench/prefix.* are not shown: no network"):
        records = read_instance().artifacts
    states = file_states(records.values(), verify=False)
    assert {states[one.uid] for one in (shown, gone, other)} == {FileState.REMOTE}
