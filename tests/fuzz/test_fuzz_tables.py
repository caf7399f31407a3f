"""A few damaged files of each quick kind; `python tests/fuzz/fuzz_tables.py` does hundreds, with the slow verbs too."""

from __future__ import annotations

import pytest
from fuzz_tables import BAD, Kind, fuzz, in_own_process, judged, strict_csv

from perturbench_lamin.errors import InputError

KINDS = ("genes.csv.gz", "metrics.csv", "metrics.parquet", "deposit.tar.gz", "object.rds", "embedding.npz")


def test_damaged_files_are_read_as_before_or_refused():
    outcomes = list(fuzz(KINDS, 3, seed=0))
    assert len(outcomes) == 3 * len(KINDS)
    assert [one for one in outcomes if one.kind in BAD] == []
    assert sum(one.kind == "refused" for one in outcomes) > len(outcomes) / 2


def crash(_):
    import os

    os.abort()


def refuse(path):
    raise InputError("Nothing", where=path)


def nowhere(_):
    raise InputError("Nothing")


@pytest.mark.parametrize(
    ("read", "strict", "expected"),
    [
        (lambda _: "a", None, "same"),
        (lambda _: "b", None, "silent"),
        (lambda _: "b", strict_csv, "other"),
        (lambda _: 1 / 0, None, "traceback"),
        (crash, None, "crash"),
        (refuse, None, "refused"),
        (nowhere, None, "vague"),
    ],
)
def test_each_outcome_is_recognised(read, strict, expected):
    assert judged(Kind("a.csv", b"a,b\n", read, strict), b"a,b\n", "a")[0] == expected


def test_too_much_memory_is_seen(monkeypatch, tmp_path):
    monkeypatch.setattr("fuzz_tables.LIMIT", 1 << 20)
    assert in_own_process(lambda: "a", tmp_path)[0] == "oversize"
