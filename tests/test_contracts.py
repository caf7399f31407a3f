"""What a curated file says of itself is read back as it was written, or refused by name and place."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from perturbench_lamin.conditions import ObsKeys, token_table
from perturbench_lamin.contracts import UNS_KEY, CuratedInfo
from perturbench_lamin.errors import InputError, IntegrityError, PerturbenchError

KEYS = ObsKeys(covariates=("cell_type", "dose"), control="none")
INFO = CuratedInfo("", KEYS, {"a": [1, None]}, token_table(["none", "A", "A+B"], KEYS))
TABLE = INFO.conditions


def test_what_is_written_is_read_back():
    read = CuratedInfo.from_uns({UNS_KEY: INFO.to_uns()})
    assert read == INFO
    pd.testing.assert_frame_equal(read.conditions, TABLE)


@pytest.mark.parametrize(
    ("part", "value", "message"),
    [
        ("covariate_keys", "[cell_type]", "'covariate_keys' is not JSON"),
        ("covariate_keys", '"cell_type"', "'covariate_keys' is .* not a list"),
        ("covariate_keys", np.array(["cell_type"]), "'covariate_keys' is .* not a text"),
        ("covariate_keys", "[1]", "covariates is 1, no text"),
        ("covariate_keys", '["dose", "dose"]', "one of them twice"),
        ("covariate_keys", '["condition"]', "one of them twice"),
        ("perturbation_key", "", "'perturbation_key' is ''"),
        ("control", "", "'control' is ''"),
        ("control", 3, "'control' is 3, not a text"),
        ("delimiter", 3, "'delimiter' is 3"),
        ("dataset", None, "'dataset' is None"),
        ("parameters", "[]", "'parameters' is .* not a dict"),
        ("parameters", "{", "'parameters' is not JSON"),
        ("parameters", "[" * 100_000, "recursion"),
        ("conditions", {"condition": ["A"]}, "'conditions' is no table, but dict"),
        ("conditions", TABLE.drop(columns="position"), "it has no 'conditions/position'"),
        ("conditions", TABLE.assign(token=None), "rows without token"),
        ("conditions", TABLE.assign(position="first"), "'conditions/position' is of type object"),
        ("conditions", TABLE.assign(position=0), r"'A\+B' twice at one position"),
    ],
)
def test_a_malformed_part_is_named_in_one_line_with_the_file(part, value, message):
    with pytest.raises(IntegrityError, match=message) as error:
        CuratedInfo.from_uns({UNS_KEY: INFO.to_uns() | {part: value}}, where="cells.h5ad")
    assert "[cells.h5ad]" in str(error.value)
    assert "\n" not in error.value.what


@pytest.mark.parametrize("part", sorted(INFO.to_uns()))
def test_a_part_that_is_missing_is_named(part):
    block = INFO.to_uns()
    del block[part]
    with pytest.raises(IntegrityError, match=f"it has no '{part}'"):
        CuratedInfo.from_uns({UNS_KEY: block}, where="cells.h5ad")


@pytest.mark.parametrize("block", ["text", 3, np.arange(3), pd.DataFrame(), INFO.to_uns() | {"schema_version": "9"}])
def test_another_thing_in_its_place_is_refused(block):
    with pytest.raises(PerturbenchError, match=r"cells\.h5ad"):
        CuratedInfo.from_uns({UNS_KEY: block}, where="cells.h5ad")


def test_a_file_that_says_nothing_was_not_curated():
    with pytest.raises(InputError, match="not a curated file"):
        CuratedInfo.from_uns({}, where="cells.h5ad")
