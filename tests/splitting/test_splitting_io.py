"""The split file: written, read back, and refused where it does not fit the data."""

from __future__ import annotations

import csv

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perturbench_lamin.errors import InputError, IntegrityError
from perturbench_lamin.splitting.io import read_split, write_split

PARTS = ["train", "val", "test", ""]
names = st.text(st.characters(codec="utf-8", exclude_characters="\r\n\0\ufeff"), min_size=1)


def as_split(values: dict[str, str]) -> pd.Series:
    return pd.Series(values, name="split", dtype=object)


@given(values=st.dictionaries(names, st.sampled_from(PARTS), min_size=1), order=st.randoms(use_true_random=False))
@settings(max_examples=60, deadline=None)
def test_what_is_written_is_read_back_in_the_order_of_the_data(values, order, tmp_path_factory):
    path = tmp_path_factory.mktemp("split") / "split.csv"
    shuffled = list(values)
    order.shuffle(shuffled)
    write_split(as_split(values), path)
    pd.testing.assert_series_equal(read_split(path, shuffled), as_split(values)[shuffled])


def test_the_file_is_the_deposited_format(tmp_path):
    path = write_split(as_split({"b,1": "train", 'a"': "", "c": "test"}), tmp_path / "split.csv")
    assert path.read_bytes() == b'"b,1",train\n"a""",\nc,test\n'


def test_compressed_files_are_the_same_bytes_each_time(tmp_path):
    split = as_split({"a": "train", "b": ""})
    one, two = (write_split(split, tmp_path / f"{name}.csv.gz").read_bytes() for name in ("one", "two"))
    assert one == two
    assert one[:2] == b"\x1f\x8b"
    assert one[4:8] == bytes(4)  # no time
    assert read_split(tmp_path / "one.csv.gz", ["b", "a"]).tolist() == ["", "train"]


def test_excluded_cells_may_be_spelt_none(tmp_path):
    path = tmp_path / "split.csv"
    path.write_text("a,none\nb,None\nc,\nd,val\n", encoding="utf-8")
    assert read_split(path, list("dcba")).tolist() == ["val", "", "", ""]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (",transfer_split_seed42\na,train\nb,val\n", "first line is a header: '', 'transfer_split_seed42'"),
        ("cell,split\na,train\nb,val\n", "first line is a header: 'cell', 'split'"),
        ("a,trian\nb,val\n", "unknown split, such as 'trian' for 'a'(.|\n)*Did you mean train"),
        ("a,train\nb,Test\n", "unknown split, such as 'Test' for 'b' .*line 2"),
        ("a,train\nb,val\na,val\n", "1 cell names occur more than once .*line 3(.|\n)*: 'a'"),
        ("a,train\nb,val\nc,val\n", "1 cells are in the split file, but not in the data(.|\n)*First: 'c'"),
        ("a,train\n", "1 cells are in the data, but not in the split file(.|\n)*First: 'b'"),
        ("", "2 cells are in the data, but not in the split file"),
        ("a,train\nb,val,x\n", r"3 columns instead of 2 \[.*line 2"),
        ("a,train\n\nb,val\n", r"0 columns instead of 2 \[.*line 2"),
        ('a,train\n"b,val\n', "Not readable as CSV(.|\n)*Close every quote"),
        ('a,train\n"b"x,val\n', r"Not readable as CSV .*line 2"),
        ("a;train\nb;val\n", r"1 columns instead of 2 \[.*line 1(.|\n)*separated by semicolons"),
        ("a\ttrain\nb\tval\n", r"1 columns instead of 2 \[.*line 1(.|\n)*separated by tabs"),
        ("a,train\nb,v\0l\n", r"NUL byte \[.*line 2"),
        ("a,train\nb\n", r"1 columns instead of 2 \[.*line 2"),
        ('"a\n",train\nb,vall\n', r"'vall' for 'b' \[.*line 3"),
        ("a,train\rb\r", r"1 columns instead of 2 \[.*line 2"),
    ],
)
def test_what_does_not_fit_is_refused(text, message, tmp_path):
    path = tmp_path / "split.csv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=message):
        read_split(path, ["a", "b"])


@pytest.mark.parametrize(
    "text", ["a,train\nb,\n\n", "a,train\r\nb,\r\n\r\n", "\ufeffa,train\nb,", 'a,train\r"b",\r', '"a",train\nb,""']
)
def test_blank_last_lines_and_other_editors_line_ends_say_nothing(text, tmp_path):
    path = tmp_path / "split.csv"
    path.write_bytes(text.encode())
    assert read_split(path, ["b", "a"]).tolist() == ["", "train"]


def test_a_cell_named_like_a_header_is_a_cell(tmp_path):
    path = tmp_path / "split.csv"
    path.write_text("cell,\nsplit,train\n", encoding="utf-8")
    assert read_split(path, ["cell", "split"]).tolist() == ["", "train"]


def test_missing_and_damaged_files_are_named(tmp_path):
    with pytest.raises(InputError, match="No such file"):
        read_split(tmp_path / "absent.csv", ["a"])
    (tmp_path / "damaged.csv.gz").write_bytes(b"a,train\n")
    with pytest.raises(IntegrityError, match=r"Named \.gz"):
        read_split(tmp_path / "damaged.csv.gz", ["a"])
    (tmp_path / "latin.csv").write_bytes(b"a,train\nb\xe9,val\n")
    with pytest.raises(InputError, match=r"byte 0xe9, which is not UTF-8 \[.*line 2"):
        read_split(tmp_path / "latin.csv", ["a"])
    with pytest.raises(InputError, match="occur more than once"):
        read_split(tmp_path / "damaged.csv.gz", ["a", "a"])


@pytest.mark.parametrize(
    ("split", "message"),
    [
        (as_split({"a": "training"}), "unknown split, such as 'training'"),
        (as_split({"a": None}), "unknown split"),
        (pd.Series(["train", "val"], index=["a", "a"]), "occur more than once"),
    ],
)
def test_a_wrong_split_is_not_written(split, message, tmp_path):
    path = tmp_path / "split.csv"
    with pytest.raises(InputError, match=message):
        write_split(split, path)
    assert list(tmp_path.iterdir()) == []


def test_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    path = write_split(as_split({"a": "train"}), tmp_path / "split.csv")

    def fail(*_, **__):
        raise OSError("disk full")

    monkeypatch.setattr(csv, "writer", fail)
    with pytest.raises(OSError, match="disk full"):
        write_split(as_split({"a": "test"}), path)
    assert path.read_text() == "a,train\n"
    assert list(tmp_path.iterdir()) == [path]
