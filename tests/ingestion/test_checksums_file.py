"""The record of first downloads, when somebody or something else wrote to it."""

from __future__ import annotations

import pytest

from perturbench_lamin.errors import InputError
from perturbench_lamin.ingestion.checksums import RECORD_NAME, read_record


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "Not readable as JSON"),
        ("[]", "not a table"),
        ('{"a": 1}', "checksum of 'a' is no SHA-256"),
        ('{"a": "12"}', "checksum of 'a' is no SHA-256"),
        ('{"a": "x", "a": "y"}', "twice"),
    ],
)
def test_a_damaged_record_is_named(tmp_path, text, message):
    (tmp_path / RECORD_NAME).write_text(text)
    with pytest.raises(InputError, match=message) as caught:
        read_record(tmp_path)
    assert caught.value.where == tmp_path / RECORD_NAME
