"""What was computed of files is remembered only while they are the same."""

from __future__ import annotations

import os
import sqlite3
import time

import pytest

from perturbench_lamin import remembered

BIG = remembered.SMALL_BYTES


@pytest.fixture
def count(tmp_path, monkeypatch):
    """Ask for what a file starts with; how often it was read by then."""
    monkeypatch.setenv(remembered.FOLDER_VARIABLE, str(tmp_path / "cache"))
    reads = []

    def first_byte(path):
        reads.append(path)
        return path.read_bytes()[:1].decode()

    def ask(path):
        return remembered.of_file(path, "first byte", first_byte), len(reads)

    return ask


@pytest.fixture
def old(tmp_path, monkeypatch):
    """A large file that was written a while ago."""
    path = tmp_path / "file.bin"
    path.write_bytes(b"a" * BIG)
    later(monkeypatch)
    return path


def later(monkeypatch):
    now = time.time_ns()
    monkeypatch.setattr(remembered.time, "time_ns", lambda: now + 3_000_000_000)


def test_a_file_that_stays_the_same_is_read_once(count, old):
    assert count(old) == ("a", 1)
    assert count(old) == ("a", 1)
    os.link(old, old.with_name("link"))  # that changes ctime
    assert count(old) == ("a", 2)


def test_a_write_is_seen_even_where_size_and_mtime_stay(count, old, monkeypatch):
    assert count(old) == ("a", 1)
    before = old.stat()
    old.write_bytes(b"b" * BIG)
    os.utime(old, ns=(before.st_atime_ns, before.st_mtime_ns))
    later(monkeypatch)
    assert count(old) == ("b", 2)


def test_another_file_put_in_its_place_is_seen(count, old, tmp_path):
    assert count(old) == ("a", 1)
    other = tmp_path / "other"
    other.write_bytes(b"c" * BIG)
    os.utime(other, ns=(old.stat().st_atime_ns, old.stat().st_mtime_ns))
    other.replace(old)
    assert count(old) == ("c", 2)


def test_a_file_just_written_is_not_remembered(count, tmp_path):
    path = tmp_path / "new.bin"
    path.write_bytes(b"a" * BIG)
    assert [count(path), count(path)] == [("a", 1), ("a", 2)]


def test_a_file_written_while_it_is_read_is_not_remembered(count, old):
    def write_behind(path):
        content = path.read_bytes()[:1].decode()
        path.write_bytes(b"z" * BIG)
        return content

    assert remembered.of_file(old, "while", write_behind) == "a"
    assert remembered.recall("while") is None
    assert remembered.of_file(old, "while", lambda path: path.read_bytes()[:1].decode()) == "z"


def test_small_files_are_read_each_time(count, tmp_path, monkeypatch):
    path = tmp_path / "small.txt"
    path.write_text("a")
    later(monkeypatch)
    assert [count(path), count(path)] == [("a", 1), ("a", 2)]


@pytest.mark.parametrize("broken", ["no folder", "no table"])
def test_where_nothing_can_be_kept_everything_is_read(count, old, tmp_path, monkeypatch, broken):
    if broken == "no folder":
        (tmp_path / "cache").write_text("a file where the folder should be")
    else:
        (tmp_path / "cache").mkdir()
        (tmp_path / "cache" / "remembered.sqlite").write_text("no database" * 100)
    assert [count(old), count(old)] == [("a", 1), ("a", 2)]


def test_several_processes_write_at_once(count, old):
    assert count(old) == ("a", 1)
    with sqlite3.connect(remembered.folder() / "remembered.sqlite") as other:
        other.execute("BEGIN IMMEDIATE")
        assert count(old) == ("a", 1), "it can be read while another process writes"
        other.rollback()
