"""What a person is told of errors that nobody foresaw: what, where and what to do, never a traceback unasked for."""

from __future__ import annotations

import errno
import os
import re
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from perturbench_lamin.cli.failures import told
from perturbench_lamin.errors import InputError

FAIL = """
import sys, threading, warnings
from perturbench_lamin.cli import main
from perturbench_lamin.splitting import obs

class Ends:
    def __del__(self):
        raise RuntimeError("at its end")

def fail(path):
    warnings.warn("of another package", UserWarning)
    thread = threading.Thread(target=lambda: 1 / 0)
    thread.start()
    thread.join()
    Ends()
    {raising}

obs.read_obs = fail
main()
"""
TRACE = "Traceback (most recent call last)"


def split(folder):
    (folder / "obs.csv").write_text("a")
    return "split", folder / "obs.csv", "--task", "combine", "--out", folder / "out.csv"


def failing(raising, *words, **more):
    return subprocess.run(
        [sys.executable, "-c", FAIL.format(raising=raising), *map(str, words)],
        capture_output=True, text=True, check=False, **more,
    )  # fmt: skip


def test_an_error_that_nobody_foresaw_is_one_message(tmp_path):
    done = failing('raise RuntimeError("bad\\nsecond line")', *split(tmp_path))
    assert done.returncode == 1
    thread, error, advice = done.stderr.splitlines()[0], *done.stderr.splitlines()[-2:]
    assert "ZeroDivisionError" in thread
    assert error == f"Error: RuntimeError: bad … [{tmp_path / 'obs.csv'} (0.0 MiB)]"
    assert "--debug" in advice
    assert TRACE not in done.stderr
    assert "of another package" not in done.stderr
    assert "at its end" not in done.stderr


@pytest.mark.parametrize("how", ["before", "behind", "variable"])
def test_the_traceback_is_shown_where_it_is_asked_for(tmp_path, how):
    words = list(split(tmp_path))
    words = {"before": ["--debug", *words], "behind": [*words, "--debug"], "variable": words}[how]
    variables = {**os.environ, **({"PERTURBENCH_DEBUG": "1"} if how == "variable" else {})}
    done = failing("raise KeyError('lost')", *words, env=variables)
    assert done.returncode == 1
    assert TRACE in done.stderr
    assert "Error: KeyError: 'lost'" in done.stderr
    assert "of another package" in done.stderr


@pytest.mark.parametrize(
    ("raising", "code", "words"),
    [
        ("raise MemoryError('7 TiB')", 1, r"Error: Memory ran out: 7 TiB \[.*obs.csv \(0.0 MiB\)\]"),
        ("fail(path)", 1, "Error: Too deeply nested"),
        ("raise EOFError('ended before')", 1, "Error: A file ends too early: ended before"),
        ("raise KeyboardInterrupt", 130, "Stopped."),
        ("sys.exit(3)", 3, "^Error: ZeroDivisionError.*\n.*\n$"),
    ],
)
def test_exit_codes_and_kinds(tmp_path, raising, code, words):
    if raising == "fail(path)":
        raising = "deep = lambda: deep()\n    deep()"
    done = failing(raising, *split(tmp_path))
    assert done.returncode == code
    assert re.search(words, done.stderr), done.stderr
    assert TRACE not in done.stderr
    assert not (tmp_path / "out.csv").exists()


def chained(error, cause):
    error.__context__ = cause
    return error


@pytest.mark.parametrize(
    ("error", "first", "advice"),
    [
        (OSError(errno.ENOSPC, "No space left on device", "/a/.x.h5ad.k1.part.h5ad"), "The disk is full [/a]", "Free"),
        (OSError(errno.ENOSPC, "No space left on device", "/a/b.csv"), "The disk is full [/a/b.csv]", "Free"),
        (OSError(errno.EDQUOT, "Disk quota exceeded"), "The quota of the disk is used up", "Free"),
        (OSError(errno.EROFS, "Read-only", "/cd/x"), "The file system can only be read [/cd/x]", "Name a place"),
        (PermissionError(errno.EACCES, "Permission denied", "/there/x"), "No permission [/there/x]", "Change"),
        (OSError(errno.EMFILE, "Too many open files", "x"), "Too many open files [x]", "ulimit -n"),
        (OSError(errno.EADDRINUSE, "Address already in use"), "The port is in use", "--port"),
        (OSError("Unable to write (file write failed, errno = 28, error message = 'No"), "The disk is full", "Free"),
        (RuntimeError("Can't decrement id ref count (errno = 28, error"), "The disk is full", "Free"),
        (chained(RuntimeError("unexpected pos"), OSError(errno.ENOSPC, "No space")), "The disk is full", "Free"),
        (chained(KeyError("x"), FileNotFoundError(errno.ENOENT, "No such", "y")), "KeyError: 'x'", "--debug"),
        (sqlite3.OperationalError("database or disk is full"), "The disk is full", "Free"),
        (sqlite3.OperationalError("database is locked"), "Another process writes to the database", "Wait"),
        (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you"), "Memory ran out", "memory"),
        (RuntimeError("CUDA out of memory. Tried to allocate 20 GiB"), "Memory ran out", "memory"),
        (UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte"), "Not text in UTF-8", "UTF-8"),
        (ModuleNotFoundError("No module named 'scgpt'"), "A package is missing or broken: No module named", "Install"),
        (ValueError("x" * 1000), f"ValueError: {'x' * 300} …", "--debug"),
        (ValueError("red \x1b[31m and \x07"), "ValueError: red  [31m and", "--debug"),
        (ValueError(), "ValueError: ", "--debug"),
        (InputError("What", where="there", fix="Do."), "What [there]", "Do."),
    ],
)
def test_what_is_told(error, first, advice):
    lines = told(error).splitlines()
    assert lines[0].startswith(first)
    assert len(lines) == 2
    assert advice in lines[1]


COMMAND = [sys.executable, "-c", "from perturbench_lamin.cli import main; main()"]


def test_a_reader_that_leaves_is_no_error():
    with subprocess.Popen([*COMMAND, "datasets"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        process.stdout.close()
        assert process.stderr.read() == ""
        assert process.wait() == 141


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is full")
def test_a_full_disk_behind_the_output_is_told():
    with Path("/dev/full").open("w") as full:
        done = subprocess.run([*COMMAND, "datasets"], stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("Error: The disk is full")
    assert TRACE not in done.stderr


def test_a_terminate_signal_stops(tmp_path):
    waiting = FAIL.format(raising="print('here', flush=True); import time; time.sleep(60)")
    words = [sys.executable, "-c", waiting, *map(str, split(tmp_path))]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "here\n"
        process.send_signal(signal.SIGTERM)
        said = process.stderr.read()
        assert process.wait(timeout=30) == 130
    assert said.endswith("Stopped.\n")
    assert TRACE not in said
