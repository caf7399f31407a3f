"""The gate of JSON and YAML."""

from __future__ import annotations

import json

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from perturbench_lamin.errors import InputError
from perturbench_lamin.storage.plain_file import read_json, read_yaml

READERS = [read_json, read_yaml]
WORDS = st.text(st.characters(codec="ascii", categories=["L", "N"]), max_size=5)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**6), 10**6) | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=3),
    max_leaves=8,
)


@given(value=VALUES)
@settings(max_examples=80, deadline=None)
def test_what_is_written_is_read_back(value, tmp_path_factory):
    path = tmp_path_factory.mktemp("plain") / "values"
    path.write_text(json.dumps(value))
    assert read_json(path) == value == read_yaml(path)
    path.write_text(yaml.safe_dump(value))
    assert read_yaml(path) == value


@pytest.mark.parametrize("read", READERS)
@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"{", "Not readable as JSON"),
        (b'{"a": 1, "a": 2}', "'a' stands there twice"),
        (b'{"b": {"a": 1, "a": 2}}', "'a' stands there twice"),
        (b"[" * 100_000, "Not readable as JSON"),
        (b'{"a": ' + b"9" * 5000 + b"}", "Not readable as JSON"),
        (b'{"a": "\xff"}', r"byte 0xff is not UTF-8 \[.*line 1"),
        (b'\n{"a": \x00}', "Not readable as JSON"),
        (b" " * (16 << 20) + b"{}", "More than 16,777,216 bytes"),
    ],
)
def test_what_is_none_is_refused_in_one_line(tmp_path, read, content, message):
    path = tmp_path / "values"
    path.write_bytes(content)
    with pytest.raises(InputError, match=message) as caught:
        read(path)
    assert str(path) in str(caught.value.where)
    assert "\n" not in caught.value.what


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\nb: 2\na: 3\n", "'a' stands there twice"),
        ("a: &x [1]\nb: *x\n", "aliases"),
        ("a: 2001-99-99\n", "Not readable"),
        ("{[1]: 2}\n", "Not readable"),
        ("a: !!python/object/apply:os.getcwd []\n", "Not readable"),
    ],
)
def test_yaml_that_is_not_plain_is_refused(tmp_path, text, message):
    (tmp_path / "a.yaml").write_text(text)
    with pytest.raises(InputError, match=message):
        read_yaml(tmp_path / "a.yaml")


@pytest.mark.parametrize("read", READERS)
def test_a_byte_order_mark_says_nothing_and_an_absent_file_is_named(tmp_path, read):
    (tmp_path / "a").write_bytes(b"\xef\xbb\xbf{}")
    assert read(tmp_path / "a") == {}
    with pytest.raises(InputError, match="No such file"):
        read(tmp_path / "none")
