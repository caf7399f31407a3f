from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import psutil
import pytest

from perturbench_lamin.errors import ChainError
from perturbench_lamin.lineage import making
from perturbench_lamin.lineage import store as store_module
from perturbench_lamin.lineage.instance import (
    Instance,
    instance_folder,
    local_instance,
    open_existing,
    open_instance,
)
from perturbench_lamin.lineage.lamin_settings import LaminSettings, read_settings, write_settings
from perturbench_lamin.lineage.store import Store
from perturbench_lamin.locks import only_one


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """An instance that was made once: LaminDB takes long. Tests use copies of it."""
    root = tmp_path_factory.mktemp("made")
    patch = pytest.MonkeyPatch()
    patch.setenv("LAMIN_SETTINGS_DIR", str(root / "settings"))
    patch.delenv("LAMIN_CURRENT_INSTANCE", raising=False)
    folder = root / "My folder"
    instance = local_instance(folder)
    patch.undo()
    return root, instance


@pytest.fixture(autouse=True)
def own_settings(tmp_path, monkeypatch, request):
    """Settings that know the instance that was made, for a test alone."""
    monkeypatch.setenv("LAMIN_SETTINGS_DIR", str(tmp_path / "settings"))
    monkeypatch.delenv("LAMIN_CURRENT_INSTANCE", raising=False)
    if "original" in request.fixturenames:
        shutil.copytree(request.getfixturevalue("made")[0] / "settings", tmp_path / "settings")


@pytest.fixture
def original(made, tmp_path, own_settings):
    """The instance at its place, put back as it was made afterwards."""
    folder = made[1].folder
    kept = shutil.copytree(folder, tmp_path / "kept")
    yield made[1]
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(kept, folder)


def root_of(folder, table="lamindb_storage", column="root"):
    with closing(sqlite3.connect(folder / "lamin-store" / ".lamindb" / "lamin.db")) as database:
        return [value for (value,) in database.execute(f"SELECT {column} FROM {table}")]


def alter(folder, *statements):
    with closing(sqlite3.connect(folder / "lamin-store" / ".lamindb" / "lamin.db")) as database, database:
        for statement in statements:
            database.execute(statement)


def bytes_of(folder):
    return {path: path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def one_line(error):
    what, _, fix = str(error.value).partition("\n  ")
    assert "\n" not in what + fix
    assert fix
    return what


def test_an_instance_is_made_once_and_nothing_beside_it(original):
    folder = original.folder
    assert original.slug.startswith("anonymous/my-folder-")
    before = bytes_of(folder / "lamin-store")
    assert local_instance(folder) == open_existing(folder, Path("x")) == open_existing(None, folder) == original
    assert bytes_of(folder / "lamin-store") == before
    assert {path.name for path in folder.iterdir()} == {".lamin", "lamin-store"}
    assert {path.name for path in (folder / ".lamin").iterdir()} == {"current_instance", "instance.lock"}
    assert root_of(folder) == [str(folder / "lamin-store")]
    assert read_settings(original.slug).store == folder / "lamin-store"


def test_what_is_to_be_read_is_not_made(tmp_path):
    folder = tmp_path / "misspelt"
    with pytest.raises(ChainError, match=r"There is no instance \[.*misspelt\]"):
        open_existing(folder, tmp_path)
    assert not folder.exists()
    with pytest.raises(ChainError, match="lamin connect laminlabs/perturbench"):
        open_existing("laminlabs/perturbench", tmp_path)


@pytest.mark.parametrize("fails", ["settings", "init"])
def test_what_stands_there_stays_however_often_making_fails(tmp_path, monkeypatch, fails):
    theirs = tmp_path / "folder" / "lamin-store" / "theirs.txt"
    theirs.parent.mkdir(parents=True)
    theirs.write_text("not ours")
    if fails == "settings":
        (tmp_path / "file").write_text("")
        monkeypatch.setenv("LAMIN_SETTINGS_DIR", str(tmp_path / "file"))
        theirs.parent.rename(tmp_path / "folder" / "other")  # nothing in the way: the settings are
    monkeypatch.setattr(making, "INIT", "raise SystemExit('told to fail')")
    for _ in range(2):
        with pytest.raises(ChainError, match="cannot be written" if fails == "settings" else "Something other than"):
            local_instance(tmp_path / "folder")
    assert [path.read_text() for path in tmp_path.rglob("theirs.txt")] == ["not ours"]


def test_what_was_made_is_removed_when_lamindb_fails(tmp_path, monkeypatch):
    monkeypatch.setattr(making, "INIT", "open('half', 'w').close(); raise SystemExit('told\\nto fail')")
    for _ in range(2):
        with pytest.raises(ChainError, match=r"could not make an instance: to fail \[.*folder\]$"):
            local_instance(tmp_path / "folder")
    assert [path.name for path in (tmp_path / "folder").rglob("*")] == [".lamin", "instance.lock"]
    assert not list((tmp_path / "settings" / ".lamin").iterdir())


def test_a_child_that_makes_an_instance_ends_with_its_killed_parent(tmp_path):
    script = (
        "import sys; from pathlib import Path; from perturbench_lamin.lineage import instance, making\n"
        "begin, _, _ = making.INIT.rpartition('runpy')\n"
        'making.INIT = begin + \'open("begun", "w"); import time; time.sleep(60)\'\n'
        "instance.local_instance(Path(sys.argv[1]))"
    )
    parent = subprocess.Popen([sys.executable, "-c", script, str(tmp_path / "folder")])
    deadline = time.monotonic() + 60
    while not list(tmp_path.glob("folder/.lamin/making-*/begun")):
        assert parent.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.02)
    (child,) = psutil.Process(parent.pid).children()
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    child.wait(timeout=10)
    assert {path.name for path in (tmp_path / "folder").iterdir()} == {".lamin"}
    with pytest.raises(ChainError, match="There is no instance"):
        open_existing(tmp_path / "folder", tmp_path)


def copied(original, target):
    return shutil.copytree(original.folder, target)


def moved(original, target):
    return shutil.move(original.folder, target)


def without_hidden_files(original, target):
    return shutil.copytree(original.folder / "lamin-store", target / "lamin-store").parent


def by_hard_links(original, target):
    return shutil.copytree(original.folder, target, copy_function=os.link)


def without_a_mark(original, target):
    copied(original, target).joinpath("lamin-store", ".lamindb", "storage_uid.txt").unlink()
    return target


def from_another_machine(original, target):
    for path in (target.parent / "settings" / ".lamin").glob("instance--*"):
        path.unlink()
    return copied(original, target)


def while_it_was_written(original, target):
    """The journal of a transaction that did not end is copied, too: SQLite rolls it back."""
    return with_a_transaction(original, target, "DELETE")


def while_it_was_written_ahead(original, target):
    return with_a_transaction(original, target, "WAL")


def with_a_transaction(original, target, journal):
    path = original.folder / "lamin-store" / ".lamindb" / "lamin.db"
    with closing(sqlite3.connect(path)) as database:
        database.execute(f"PRAGMA journal_mode = {journal}")
        database.execute("PRAGMA cache_size = 1")  # pages are written before the transaction ends
        database.execute("UPDATE bionty_source SET name = name || 'x'")
        database.execute("DELETE FROM lamindb_storage")
        assert path.with_name("lamin.db-journal" if journal == "DELETE" else "lamin.db-wal").stat().st_size > 10_000
        copied(original, target)
        database.rollback()
        database.execute("PRAGMA journal_mode = DELETE")
    return target


LEFT_BEHIND = """
INSERT INTO lamindb_run (uid, extra_data, is_locked, updated_at, started_at, created_at, _status_code, branch_id,
created_on_id, space_id, transform_id, created_by_id)
VALUES ('chain', '{{"folder": "{}", "host": "elsewhere", "executed": "x"}}', 0, 0, 0, 0, -1, 1, 1, 1, 1, 1)
"""
"""A chain that was running there."""


@pytest.mark.parametrize(
    "how",
    [
        copied,
        moved,
        without_hidden_files,
        by_hard_links,
        without_a_mark,
        from_another_machine,
        while_it_was_written,
        while_it_was_written_ahead,
    ],
)
@pytest.mark.parametrize("use", [open_existing, open_instance])
def test_a_copied_or_moved_folder_is_an_instance_of_its_own(original, tmp_path, how, use):
    alter(original.folder, LEFT_BEHIND.format(original.folder))
    made_id, before = read_settings(original.slug).id, bytes_of(original.folder)
    target = Path(how(original, tmp_path / "another")).resolve()
    found = use(target, tmp_path)
    assert (found.folder, found.slug.partition("-")[0]) == (target, "anonymous/another")
    assert root_of(target) == [str(target / "lamin-store")]
    known = read_settings(found.slug)
    assert (known.store, known.values["schema_str"]) == (target / "lamin-store", "bionty,pertdb")
    assert known.id == made_id
    assert use(target, tmp_path) == found, "the second time it is at its place"
    (told,) = root_of(target, "lamindb_run", "extra_data")
    assert json.loads(told) == {"folder": str(target), "host": socket.gethostname(), "executed": "x"}
    if how is moved:
        assert not original.folder.exists()
        with pytest.raises(ChainError, match="is gone: it was moved or removed") as error:
            open_existing(original.slug, tmp_path)
        one_line(error)
        assert not original.folder.exists(), "and no empty database was made there"
    elif how is not from_another_machine:
        assert bytes_of(original.folder) == before or how in (while_it_was_written, while_it_was_written_ahead)
        assert root_of(original.folder) == [str(original.folder / "lamin-store")]
        assert open_existing(original.folder, tmp_path).slug == open_existing(original.slug, tmp_path).slug


def test_a_copy_of_a_folder_whose_chain_runs_is_left_to_the_chain_that_runs_in_it(original, tmp_path):
    target = copied(original, tmp_path / "copy")
    with only_one(target), pytest.raises(ChainError, match="Another chain is running"):
        open_existing(target, tmp_path)
    assert root_of(target) == [str(original.folder / "lamin-store")]
    with only_one(original.folder):
        assert open_existing(target, tmp_path).folder == target
    with only_one(target):
        assert local_instance(target) == open_existing(target, tmp_path)


def test_a_copy_without_its_store_or_that_cannot_be_written_is_refused(original, tmp_path, monkeypatch):
    bare = shutil.copytree(original.folder / ".lamin", tmp_path / "bare" / ".lamin").parent
    with pytest.raises(ChainError, match=r"lies in another folder: .*My folder/lamin-store \[.*bare\]") as error:
        open_existing(bare, tmp_path)
    one_line(error)
    copy = copied(original, tmp_path / "read-only")
    before = bytes_of(copy)
    monkeypatch.setattr(Store, "is_writable", False)
    with pytest.raises(ChainError, match="cannot be used where it cannot be written to") as error:
        open_existing(copy, tmp_path)
    assert f"cp -r {copy} FOLDER" in str(error.value)
    assert bytes_of(copy) == before
    assert open_existing(original.folder, tmp_path) == original, "at its place it can be read"


def test_a_folder_that_was_connected_to_an_instance_elsewhere_is_that_instance(original, tmp_path):
    """By ``lamin connect --here``, to a store that no folder of chains has, or to a database on a server."""
    folder, store = tmp_path / "connected", tmp_path / "disk" / "a-store"
    (folder / ".lamin").mkdir(parents=True)
    (folder / ".lamin" / "current_instance").write_text("anonymous/elsewhere")
    shutil.copytree(original.folder / "lamin-store", store)
    Store(store).settle(store)
    values = {**read_settings(original.slug).values, "name": "elsewhere", "storage_root": str(store)}
    write_settings(LaminSettings(values))
    assert open_existing(folder, tmp_path) == Instance("anonymous/elsewhere", folder)
    shutil.copytree(original.folder / "lamin-store", folder / "lamin-store")  # of another one, before
    write_settings(LaminSettings({**values, "db": "postgresql://user@host/database"}))
    assert open_existing(folder, tmp_path) == local_instance(folder) == Instance("anonymous/elsewhere", folder)
    shutil.move(store, tmp_path / "moved")
    with pytest.raises(ChainError, match=r"is gone: it was moved .* \[.*a-store\]"):
        open_existing(folder, tmp_path)
    assert not store.exists()


def truncate(database):
    database.write_bytes(database.read_bytes()[:200_000])


def overwrite(database):
    content = bytearray(database.read_bytes())
    content[100_000:400_000] = b"x" * 300_000
    database.write_bytes(content)


FAULTS = {
    "not a database": (lambda path: path.write_bytes(b"half a database" * 1000), "is damaged: file is not a database"),
    "empty": (lambda path: path.write_bytes(b""), "was interrupted"),
    "cut": (truncate, "is damaged: database disk image is malformed"),
    "overwritten": (overwrite, "is damaged"),
    "without tables": (lambda path: alter(path.parents[2], "DROP TABLE lamindb_branch"), "was interrupted"),
    "without records": (lambda path: alter(path.parents[2], "DELETE FROM lamindb_storage"), "was interrupted"),
    "newer": (
        lambda path: alter(
            path.parents[2], "INSERT INTO django_migrations (app, name, applied) VALUES ('lamindb', '9000_x', 0)"
        ),
        r"newer version of lamindb \(migration 9000; installed: \d{4}\)",
    ),
    "older": (
        lambda path: alter(path.parents[2], "UPDATE django_migrations SET name = '0001' WHERE app = 'bionty'"),
        "older version of bionty",
    ),
    "name": (
        lambda path: path.parents[2].joinpath(".lamin", "current_instance").write_text("a\n\x1b[31mb"),
        "Not the name of an instance: 'a",
    ),
    "settings": (
        lambda path: next(Path(os.environ["LAMIN_SETTINGS_DIR"]).rglob("instance--*")).write_text("x=1\n"),
        "settings of anonymous/my-folder-.* lack",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_an_instance_that_is_not_whole_is_refused_in_one_line_and_left_as_it_is(original, tmp_path, fault):
    spoil, expected = FAULTS[fault]
    spoil(original.folder / "lamin-store" / ".lamindb" / "lamin.db")
    before = bytes_of(original.folder)
    for use in (open_existing, open_instance):
        with pytest.raises(ChainError, match=expected) as error:
            use(original.folder, tmp_path)
        one_line(error)
    if fault != "name":
        with pytest.raises(ChainError, match=expected):
            open_existing(original.slug, tmp_path)
    assert bytes_of(original.folder) == before


def test_a_locked_database_is_waited_for_and_then_named(original, tmp_path, monkeypatch):
    monkeypatch.setattr(store_module, "SECONDS", 0.1)
    with closing(sqlite3.connect(original.folder / "lamin-store" / ".lamindb" / "lamin.db")) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(ChainError, match="Another process is writing to the instance's database"):
            open_existing(original.folder, tmp_path)


@pytest.mark.parametrize("name", ["a#b", "what?", "50%20off", "${HOME}", "new\nline"])
def test_a_path_that_lamindb_misreads_is_refused_before_anything_is_made(original, tmp_path, name):
    with pytest.raises(ChainError, match="cannot keep an instance in a folder whose path has") as error:
        local_instance(tmp_path / name)
    one_line(error)
    assert not (tmp_path / name).exists()
    copy = copied(original, tmp_path / name)
    with pytest.raises(ChainError, match="cannot keep an instance in a folder whose path has"):
        open_existing(copy, tmp_path)


def test_a_slug_is_told_from_a_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ChainError, match="lamin connect laminlabs/perturbench"):
        open_instance("laminlabs/perturbench", tmp_path)
    assert instance_folder("laminlabs/perturbench", tmp_path) == tmp_path
    assert instance_folder("some-folder", tmp_path) == tmp_path / "some-folder"
    (tmp_path / "owner" / "made").mkdir(parents=True)
    for slug in ("owner/new", "owner/made", "owner/v1.2"):  # a folder of the owner's name says nothing
        with pytest.raises(ChainError, match=f"name a folder with its dot: ./{slug}"):
            open_instance(slug, tmp_path)
        for folder in (f"./{slug}", str(tmp_path / slug)):
            assert instance_folder(folder, tmp_path / "other") == tmp_path / slug
    (tmp_path / "owner" / "made" / ".lamin").mkdir()
    (tmp_path / "owner" / "made" / ".lamin" / "current_instance").write_text("someone/made")
    assert instance_folder("owner/made", tmp_path / "other") == tmp_path / "owner" / "made"
    assert instance_folder(None, tmp_path) == tmp_path


def test_the_option_of_a_command_names_the_instance_as_it_was_named(original, tmp_path):
    assert original.option == f"--instance '{original.folder}'"
    assert open_existing(original.slug, tmp_path).option == f"--instance {original.slug}"


IN_THE_COPY = """
import json, sys
from pathlib import Path
from perturbench_lamin.lineage.instance import open_existing
if sys.argv[1] != "by itself":
    open_existing(Path(sys.argv[1]), Path("x")).connect()
import lamindb as ln
path = Path("file.txt")
path.write_text(sys.argv[2])
artifact = ln.Artifact(path, key="file.txt", run=False).save()
print("ANSWER" + json.dumps([artifact.path.as_posix(), ln.Artifact.filter(key="file.txt").count()]))
"""


@pytest.mark.chain
def test_copy_and_original_are_written_to_at_the_same_time_without_mixing(original, tmp_path):
    copy = copied(original, tmp_path / "copy")
    third = copied(original, tmp_path / "third")
    calls = [(original.folder, str(original.folder)), (copy, str(copy)), (third, "by itself")]
    started = [
        subprocess.Popen(
            [sys.executable, "-c", IN_THE_COPY, named, str(folder)], cwd=folder, stdout=subprocess.PIPE, text=True
        )
        for folder, named in calls
    ]
    for (folder, _), process in zip(calls, started, strict=True):
        out, _ = process.communicate(timeout=300)
        path, count = json.loads(out.split("ANSWER")[1])
        assert Path(path).is_relative_to(folder / "lamin-store")
        assert (Path(path).read_text(), count) == (str(folder), 1)


@pytest.mark.parametrize(
    ("said", "told"),
    [
        (
            'relation "lamindb_branch" does not exist\\nLINE 1: SELECT',
            "The database of anonymous/server is not complete",
        ),
        ("connection refused\\nIs the server running?", "LaminDB cannot open the instance .*connection refused\\]"),
    ],
)
def test_what_a_server_answers_is_told_in_one_line(original, tmp_path, said, told):
    (tmp_path / "lamindb.py").write_text(f"raise RuntimeError('{said}')")
    server = "postgresql://user@host/database"
    write_settings(LaminSettings({**read_settings(original.slug).values, "name": "server", "db": server}))
    done = subprocess.run(
        [sys.executable, "-c", CONNECT, "anonymous/server"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert re.search(told, done.stdout)
    assert "\n" not in done.stdout.partition("\n  ")[0].strip()


CONNECT = """
import sys
from pathlib import Path
from perturbench_lamin.errors import ChainError
from perturbench_lamin.lineage.instance import open_existing
try:
    open_existing(sys.argv[1], Path("x")).connect()
except ChainError as error:
    print(error)
"""
