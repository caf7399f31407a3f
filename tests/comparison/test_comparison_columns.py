"""Columns compared by content, whatever their dtype."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perturbench_lamin.comparison.columns import compare_columns
from perturbench_lamin.comparison.settings import CompareConfig
from perturbench_lamin.comparison.unstructured import compare_uns, same_value

CONFIG = CompareConfig()

SAME = [
    (["x", "y", "x"], pd.Categorical(["x", "y", "x"], categories=["z", "y", "x"])),
    ([1, 2, 3], [1.0, 2.0, 3.0]),
    ([1, 2, 3], ["1", "2", "3"]),
    (["1.50", "2", None], [1.5, 2.0, np.nan]),
    ([True, False, True], ["True", "False", "True"]),
    (pd.array([1, None, 3], dtype="Int64"), [1.0, np.nan, 3.0]),
    (pd.Categorical([10, 20, 10]), [10, 20, 10]),
    (pd.Categorical([10.0, np.nan, 10.0]), [10.0, np.nan, 10.0]),
    ([np.inf, -np.inf, np.nan], [np.inf, -np.inf, np.nan]),
    ([None, None, None], [np.nan, np.nan, np.nan]),
    (pd.array(["x", None, "y"], dtype="string"), ["x", None, "y"]),
    (np.float32([0.1, 0.2, 0.3]), [0.1, 0.2, 0.3]),
]
UNLIKE = [
    (["x", "y", "z"], ["x", "y", "w"], [2]),
    ([1.0, 2.0, 3.0], [1.0, 2.1, 3.0], [1]),
    ([1.0, np.nan, 3.0], [1.0, 0.0, 3.0], [1]),
    (["x", None, "y"], ["x", "nan", "y"], [1]),
    (["x", None, "y"], ["x", "(missing)", "y"], [1]),
    ([np.inf, 1.0, 2.0], [-np.inf, 1.0, 2.0], [0]),
    ([2**60, 1, 2], [2**60 + 1, 1, 2], [0]),
    ([True, False, True], [1, 2, 1], [1]),
]


@pytest.mark.parametrize(("a", "b"), SAME)
def test_the_same_content(a, b):
    for left, right in ((a, b), (b, a)):
        found = compare_columns(pd.Series(left), pd.Series(right), CONFIG)
        assert found.agrees, found.pairs
        assert not len(found.pairs)


@pytest.mark.parametrize(("a", "b", "where"), UNLIKE)
def test_other_content_is_located(a, b, where):
    for left, right in ((a, b), (b, a)):
        found = compare_columns(pd.Series(left), pd.Series(right), CONFIG)
        assert np.flatnonzero(found.unlike).tolist() == where
        assert found.pairs["cells"].tolist() == [1]


def test_senses():
    floats = pd.Series([1.0, 2.0])
    assert compare_columns(floats, floats, CONFIG).senses == ()
    assert compare_columns(floats, floats * (1 + 1e-7), CONFIG).senses == ("within tolerance",)
    assert compare_columns(floats, floats.astype(int), CONFIG).senses == ("dtype (float64 / int64)",)
    texts = pd.Series(["a", "b"])
    assert compare_columns(texts, texts.astype("category"), CONFIG).senses == ("dtype (text / category)",)


def test_values_that_correspond_one_to_one():
    a, b = pd.Series(["NTC", "A", "B", "A"]), pd.Series(["control", "A", "b", "A"])
    assert compare_columns(a, b, CONFIG).one_to_one
    assert not compare_columns(a, pd.Series(["control", "A", "b", "a"]), CONFIG).one_to_one
    assert not compare_columns(pd.Series(["a", "b"]), pd.Series(["c", "d"]), CONFIG).one_to_one, "all are single"


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=25, deadline=None)
def test_the_most_frequent_pairs_come_first(seed):
    rng = np.random.default_rng(seed)
    a, b = (pd.Series(rng.choice(list("xyz"), 40)) for _ in range(2))
    found = compare_columns(a, b, CompareConfig(examples=9))
    assert (found.unlike == (a != b)).all()
    assert found.pairs["cells"].sum() == (a != b).sum()
    assert found.pairs["cells"].is_monotonic_decreasing


VALUES = [1, "text", 2.5, np.array([1.0, 2.0]), np.array(["a", "b"]), pd.DataFrame({"a": [1, 2]}), True, {}]


@pytest.mark.parametrize("first", range(len(VALUES)))
def test_a_value_of_uns_is_like_itself_alone(first):
    for second in range(len(VALUES)):
        if {first, second} != {0, 6}:  # 1 and True are one value in NumPy
            assert same_value(VALUES[first], VALUES[second], CONFIG) == (first == second)


def test_entries_of_uns_are_named_by_their_path():
    a = {"made": {"by": "x", "n": 1, "empty": {}}, "only": 1}
    b = {"made": {"by": "y", "n": 1.0, "empty": {}}}
    found = compare_uns(a, b, CONFIG)
    assert found.differences == ("uns made/by differs: x → y", "uns entries only in A: only")
    assert found.details["common"] == 3
