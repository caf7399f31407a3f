"""The gate of text tables, held to the reader of Python's standard library."""

from __future__ import annotations

import bz2
import csv
import gzip
import io
import lzma

import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from perturbench_lamin.errors import InputError, PerturbenchError
from perturbench_lamin.storage.csv_file import read_csv

WRITTEN = st.sampled_from(list('ab,;"\n\t é'))  # pandas writes a lone \\r without quotes
LETTERS = st.sampled_from(list('ab,;"\n\r\t é'))


@given(text=st.text(LETTERS, max_size=14), has_header=st.booleans())
@example(text='a"b\nc"d,e', has_header=False)
@example(text='"a"b,c\nd,e', has_header=False)
@example(text='a,b\n"c\n",d\n\n', has_header=True)
@settings(max_examples=600, deadline=None)
def test_it_reads_what_a_strict_reader_reads_or_refuses(text, has_header, tmp_path_factory):
    path = tmp_path_factory.mktemp("csv") / "table.csv"
    path.write_bytes(text.encode())
    content = text.rstrip("\r\n")
    try:
        expected = list(csv.reader(io.StringIO(content, newline=""), strict=True))
    except csv.Error:
        expected = None
    try:
        file = read_csv(path, has_header=has_header)
    except InputError:
        assert (
            not expected
            or len({len(row) for row in expected}) > 1
            or (has_header and ("" in expected[0][1:] or len(set(expected[0])) < len(expected[0])))
        )
        return
    rows = [*([list(file.table.columns)] if has_header else []), *file.table.to_numpy().tolist()]
    assert rows == expected


@given(
    rows=st.lists(st.tuples(st.text(WRITTEN, min_size=1), st.text(WRITTEN)), min_size=1),
    separator=st.sampled_from([",", "\t"]),
)
@settings(max_examples=100, deadline=None)
def test_what_pandas_writes_is_read_back(rows, separator, tmp_path_factory):
    name = "table.csv" if separator == "," else "table.tsv"
    path = tmp_path_factory.mktemp("csv") / name
    table = pd.DataFrame(rows, columns=["name", "text"])
    table.to_csv(path, index=False, sep=separator)
    pd.testing.assert_frame_equal(read_csv(path).table, table)
    gaps = read_csv(path, empty_is_missing=True).table["text"]
    assert gaps.isna().tolist() == (table["text"] == "").tolist()


@pytest.mark.parametrize(
    ("suffix", "compress"), [(".gz", gzip.compress), (".bz2", bz2.compress), (".xz", lzma.compress)]
)
def test_compression_is_known_by_content_and_read_to_its_checksum(tmp_path, suffix, compress):
    packed = compress(b"name,text\na,1\nb,2\n")
    for name in (f"table.csv{suffix}", "table.csv"):
        (tmp_path / name).write_bytes(packed)
        assert read_csv(tmp_path / name).table["text"].tolist() == ["1", "2"]
    refused = 0
    for at in range(len(packed)):
        damaged = bytearray(packed)
        damaged[at] ^= 0x10
        (tmp_path / f"table.csv{suffix}").write_bytes(damaged)
        try:
            assert read_csv(tmp_path / f"table.csv{suffix}").table["text"].tolist() == ["1", "2"]
        except PerturbenchError as error:
            assert str(tmp_path) in str(error)  # noqa: PT017
            refused += 1
    assert refused > len(packed) // 2


def test_a_row_knows_its_line(tmp_path):
    path = tmp_path / "table.csv"
    path.write_text('name,text\n"a\nb",1\nc,2\n"d\r\n\n",3\ne,4\n', newline="")
    file = read_csv(path)
    assert [file.place(row).rpartition(" ")[2] for row in range(4)] == ["2", "4", "5", "8"]
    assert file.first(file.table["text"] == "3") == f"{path}, line 5"


def test_a_file_that_cannot_be_read_is_named(tmp_path):
    with pytest.raises(InputError, match=r"No such file or directory \[.*none\.csv"):
        read_csv(tmp_path / "none.csv")
    with pytest.raises(InputError, match="Is a directory"):
        read_csv(tmp_path)


def test_numbers_are_read_exactly_or_left_as_text(tmp_path):
    path = tmp_path / "table.csv"
    path.write_text('"a\nname",x,y\nNA,0.30000000000000004,\nnan,NA,1e-300\n')
    table = read_csv(path, empty_is_missing=True, numbers={"x": ["NA"], "y": [], "absent": []}).table
    assert table["a\nname"].tolist() == ["NA", "nan"]
    assert table["x"].tolist()[0] == 0.1 + 0.2
    assert np.isnan(table["x"][1])
    assert table["y"].tolist()[1] == 1e-300
    path.write_text("a,x\nNA,1_0\n")
    assert read_csv(path, empty_is_missing=True, numbers={"x": ["NA"]}).table.loc[0].tolist() == ["NA", "1_0"]
    path.write_text("a,x\n")
    assert list(read_csv(path, empty_is_missing=True, numbers={"x": ["NA"]}).table) == ["a", "x"]
