"""The gate of tables of metrics."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
import pandas as pd
import pytest

from perturbench_lamin.errors import InputError, IntegrityError
from perturbench_lamin.evaluation.leaderboard import leaderboard
from perturbench_lamin.evaluation.metrics_file import read_board, read_metrics
from perturbench_lamin.evaluation.result import write_table

METRICS = pd.DataFrame(
    {
        "model": ["linear", "linear", "NA"],
        "condition": ["nan", "None", "a"],
        "metric": "rmse_average",
        "value": [0.1 + 0.2, np.nan, 1e-300],
        "seed": [1, 2, 1],
    }
)


@pytest.mark.parametrize("name", ["metrics.csv", "metrics.parquet"])
def test_what_is_written_is_read_back_with_names_as_text(tmp_path, name):
    read = read_metrics(write_table(METRICS, tmp_path / name))
    pd.testing.assert_frame_equal(
        read, METRICS.assign(seed=["1", "2", "1"]).astype({"metric": object}), check_exact=True
    )


@pytest.mark.parametrize("name", ["metrics.csv", "metrics.parquet"])
def test_a_seed_is_the_same_beside_an_empty_one(tmp_path, name):
    table = METRICS.assign(seed=[1.0, np.nan, 2.0])
    assert read_metrics(write_table(table, tmp_path / name))["seed"].fillna("").tolist() == ["1", "", "2"]


def test_a_leaderboard_is_read_back_as_it_was_with_names_as_text(tmp_path):
    table = METRICS.assign(dataset="007", split=["nan", "nan", "test"]).fillna({"value": 1 / 3})
    undefined = table.assign(model="none at all", value=np.nan)
    board = leaderboard(pd.concat([table, undefined], ignore_index=True))
    assert {"NA", "none at all"} < set(board["model"])
    read = read_board(write_table(board, tmp_path / "board.csv"))
    pd.testing.assert_frame_equal(read, board, check_exact=True)


def test_a_leaderboard_with_a_word_for_a_number_is_an_error_with_its_line(tmp_path):
    path = tmp_path / "board.csv"
    path.write_text("model,metric,mean,sd,n_seeds,place\nm,rmse_average,low,,1,1\n")
    with pytest.raises(InputError, match=r"mean 'low' is not a number \[.*line 2"):
        read_board(path)
    path.write_text("model,metric,mean,sd,n_seeds,place\nm,rmse_average,1,,1.5,1\n")
    with pytest.raises(InputError, match=r"'n_seeds' is not a whole number \[.*line 2"):
        read_board(path)


HEAD = "model,condition,metric,value\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (HEAD + 'm,a,rmse_average,"0,1"\n', r"value '0,1' is not a number \[.*line 2\](.|\n)*with a point"),
        (HEAD + "m,a,rmse_average,1\nm,b,rmse_average,low\n", r"value 'low' is not a number \[.*line 3"),
        (HEAD + "m,a,rmse_average,1_0\n", r"value '1_0' is not a number \[.*line 2"),
        (HEAD + '"m\nm",a,rmse_average,1\nm,b,rmse_average,x\n', r"'x' is not a number \[.*line 4"),
        (HEAD + "m,a,rmse_average\n", r"3 columns instead of 4 \[.*line 2"),
        (HEAD + ",a,rmse_average,1\n", r"A row names no model \[.*line 2"),
        (HEAD + "m,a,rmse_average,1\nm,a,rmse,1\n", r"No metric 'rmse' \[.*line 3"),
        (HEAD + "m,a,,1\n", r"No metric '' \[.*line 2"),
        (HEAD + "m,a,rmse_average,1\nm ,a,rmse_average,2\n", r"'model' has a name with spaces.*: 'm ' \[.*line 3"),
        (HEAD + "m,a\u00a0,rmse_average,1\n", r"'condition' has a name with spaces.*: 'a\\xa0' \[.*line 2"),
        ("seed," + HEAD + "1,m,a,rmse_average,1\n 1,m,b,rmse_average,2\n", r"'seed' has .*: ' 1' \[.*line 3"),
        ("," + HEAD + "0,m,a,rmse_average,1\n", "A column has no name"),
        (HEAD, "no rows"),
        ("", "The table is empty"),
        ("model,metric\nm,rmse_average\n", "No column 'value'"),
        (HEAD.replace(",", ";") + "m;a;rmse_average;0,1\n", r"(.|\n)*seems to be separated by semicolons"),
        ("model,metric,value,value\nm,rmse_average,1,2\n", "'value' more than once"),
    ],
)
def test_what_is_no_table_of_metrics_is_refused_with_its_line(tmp_path, text, message):
    (tmp_path / "metrics.csv").write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=message):
        read_metrics(tmp_path / "metrics.csv")


def test_undefined_values_may_be_spelt(tmp_path):
    rows = "".join(
        f"m,{place},rmse_average,{text}\n" for place, text in enumerate(["", "nan", "NaN", "NA", "-inf", " 2"])
    )
    (tmp_path / "metrics.csv").write_text(HEAD + rows, encoding="utf-8")
    values = read_metrics(tmp_path / "metrics.csv")["value"]
    np.testing.assert_array_equal(values, [np.nan] * 4 + [-np.inf, 2])


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (METRICS.assign(value=["a", "b", "c"]), "values are of type"),
        (METRICS.assign(value=[Decimal(1), Decimal(2), None]), "values are of type"),
        (METRICS.assign(value=[True, False, True]), "values are of type bool"),
        (METRICS.drop(columns="metric"), "No column 'metric'"),
        (METRICS.head(0), "no rows"),
        (METRICS.assign(model=["m", None, "m"]), r"A row names no model \[.*row 2"),
    ],
)
def test_parquet_of_other_types_is_refused(tmp_path, table, message):
    table.to_parquet(tmp_path / "metrics.parquet")
    with pytest.raises(InputError, match=message):
        read_metrics(tmp_path / "metrics.parquet")


def test_parquet_of_other_number_types_is_read(tmp_path):
    for number in ("float32", "int8", "Float64", "Int64"):
        METRICS.assign(value=np.array([1, 0, 2])).astype({"value": number}).to_parquet(tmp_path / "metrics.parquet")
        assert read_metrics(tmp_path / "metrics.parquet")["value"].tolist() == [1.0, 0.0, 2.0]
    METRICS.astype({"model": "category", "seed": "category"}).to_parquet(tmp_path / "metrics.parquet")
    assert read_metrics(tmp_path / "metrics.parquet")["seed"].tolist() == ["1", "2", "1"]


def test_damaged_parquet_is_never_read_as_something_else(tmp_path):
    """Pages have checksums: a flipped bit in them is an error; elsewhere it changes nothing or is one."""
    path = write_table(pd.concat([METRICS] * 20).assign(seed=range(60)), tmp_path / "metrics.parquet")
    content, whole = path.read_bytes(), leaderboard(read_metrics(path))
    random, refused = np.random.default_rng(0), 0
    for at in random.choice(len(content), 60, replace=False):
        damaged = bytearray(content)
        damaged[at] ^= 1 << int(random.integers(8))
        path.write_bytes(damaged)
        try:
            pd.testing.assert_frame_equal(leaderboard(read_metrics(path)), whole)
        except (InputError, IntegrityError):
            refused += 1
    assert refused > 10
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(IntegrityError, match="Not readable as parquet"):
        read_metrics(path)
