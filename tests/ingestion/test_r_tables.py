import numpy as np
import pandas as pd
import pytest

from perturbench_lamin.errors import InputError, IntegrityError
from perturbench_lamin.ingestion.r_objects import NA_INTEGER, RObject
from perturbench_lamin.ingestion.r_tables import to_table
from perturbench_lamin.simulation import r_values as r


def data_frame(columns, row_names):
    attributes = {"names": r.character(columns), "class": r.character(["data.frame"]), "row.names": row_names}
    return RObject("list", list(columns.values()), attributes)


COLUMNS = {
    "text": r.character(["a", None]),
    "whole": r.integer([1, 2]),
    "gap": r.integer([1, NA_INTEGER]),
    "real": r.double([0.5, np.nan]),
    "kind": r.factor(pd.Categorical(["y", None], categories=["z", "y"])),
    "truth": RObject("logical", np.array([0, 1], dtype=np.int32)),
    "unknown": RObject("logical", np.array([1, NA_INTEGER], dtype=np.int32)),
}


@pytest.mark.parametrize(
    "obj",
    [r.data_frame(2, COLUMNS, ["c1", "c2"]), data_frame(COLUMNS, r.character(["c1", "c2"]))],
    ids=["DFrame", "data.frame"],
)
def test_columns_keep_their_kind_and_their_gaps(obj):
    table = to_table(obj)
    assert list(table.index) == ["c1", "c2"]
    assert table["text"].tolist() == ["a", None]
    assert table["whole"].dtype == np.int32
    assert table["gap"].isna().tolist() == [False, True]
    assert table["gap"].dtype == "Int32"
    assert table["real"].isna().tolist() == [False, True]
    assert list(table["kind"].cat.categories) == ["z", "y"]
    assert table["kind"].isna().tolist() == [False, True]
    assert table["truth"].tolist() == [False, True]
    assert table["truth"].dtype == bool
    assert table["unknown"].isna().tolist() == [False, True]


def test_rows_without_names_are_counted():
    compact = r.integer([NA_INTEGER, -2])
    for obj in (
        r.data_frame(2, COLUMNS),
        data_frame(COLUMNS, compact),
        data_frame(COLUMNS, r.integer([4, 9])),
    ):
        assert list(to_table(obj).index) == [0, 1]


def test_an_ordered_factor_stays_ordered():
    levels = r.factor(pd.Categorical(["a"]))
    levels.attributes["class"] = r.character(["ordered", "factor"])
    assert to_table(r.data_frame(1, {"x": levels}))["x"].cat.ordered


def test_columns_that_are_no_vectors_are_left_out_by_name():
    matrix = RObject("double", np.zeros(4), {"dim": r.integer([2, 2])})
    table = to_table(r.data_frame(2, {"inner": r.data_frame(2), "m": matrix, "x": r.integer([1, 2])}))
    assert list(table.columns) == ["x"]
    assert table.attrs["left_out"] == ["inner", "m"]


def test_a_table_without_columns_keeps_its_rows():
    assert to_table(r.data_frame(3)).shape == (3, 0)


def test_a_column_of_another_length_is_an_error():
    with pytest.raises(IntegrityError, match="'x' has 3 values for 2 rows"):
        to_table(r.data_frame(2, {"x": r.integer([1, 2, 3])}))


@pytest.mark.parametrize("obj", [None, r.integer([1]), r.plain_list()])
def test_what_is_no_table_is_named(obj):
    with pytest.raises(InputError, match="Expected a table"):
        to_table(obj)


@pytest.mark.parametrize("code", [-1, 0, 3, 2**31 - 1])
def test_a_factors_code_beyond_its_levels_is_an_error(code):
    column = RObject("integer", np.array([1, code, 2], dtype=np.int32))
    column.attributes = {"levels": RObject("character", ["a", "b"]), "class": RObject("character", ["factor"])}
    with pytest.raises(IntegrityError, match=rf"factor of 2 levels has the code {code} \[.*column 'x', row 2"):
        to_table(data_frame({"x": column}, RObject("character", ["r1", "r2", "r3"])), where="file")


@pytest.mark.parametrize("levels", [["a", "a"], ["a", None], [1, 2]])
def test_levels_that_are_none_are_an_error(levels):
    column = RObject("integer", np.array([1, NA_INTEGER], dtype=np.int32))
    column.attributes = {"levels": RObject("character", levels)}
    with pytest.raises(IntegrityError, match="No factor"):
        to_table(data_frame({"x": column}, RObject("character", ["r1", "r2"])))
