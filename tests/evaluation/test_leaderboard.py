"""Leaderboards and their figure."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from perturbench_lamin.errors import InputError
from perturbench_lamin.evaluation.figure import leaderboard_figure
from perturbench_lamin.evaluation.leaderboard import (
    combined,
    lacking_keys,
    leaderboard,
    order_models,
    to_markdown,
    to_text,
)

SCORES = {"linear": (0.3, 0.5), "latent": (0.1, 0.3), "decoder": (0.2, 0.2)}


@pytest.fixture
def table():
    rows = [
        {
            "dataset": data,
            "task": "transfer",
            "model": model,
            "seed": seed,
            "condition": c,
            "metric": metric,
            "value": v,
        }
        for data in ("norman19", "srivatsan20")
        for model, means in SCORES.items()
        for seed, mean in enumerate(means)
        for metric, sign in (("rmse_average", 1), ("cosine_logfc", -1))
        for c, v in (("a", sign * (mean - 0.05)), ("b", sign * (mean + 0.05)))
    ]
    return pd.DataFrame(rows)


def test_mean_and_standard_deviation_are_over_seeds_not_over_conditions(table):
    board = leaderboard(table)
    rows = board[(board["dataset"] == "norman19") & (board["metric"] == "rmse_average")].set_index("model")
    np.testing.assert_allclose(rows["mean"], [0.2, 0.2, 0.4])
    np.testing.assert_allclose(rows["sd"], [0.0, np.sqrt(0.02), np.sqrt(0.02)], atol=1e-15)
    assert list(rows.index) == ["decoder", "latent", "linear"]
    assert (rows["n_seeds"] == 2).all()
    assert (rows["n_values"] == 4).all()


def test_places_follow_the_metrics_direction(table):
    table.loc[table["model"] == "decoder", "value"] *= 0.9
    board = leaderboard(table).set_index(["dataset", "metric", "model"])["place"]
    assert board["norman19", "rmse_average"].to_dict() == {"decoder": 1, "latent": 2, "linear": 3}
    # The cosines are the negative errors: the order is the same, since higher is better.
    assert board["norman19", "cosine_logfc"].to_dict() == {"decoder": 1, "latent": 2, "linear": 3}
    flipped = table.assign(value=-table["value"])
    board = leaderboard(flipped).set_index(["dataset", "metric", "model"])["place"]
    assert board["norman19", "rmse_average"].to_dict() == {"linear": 1, "latent": 2, "decoder": 3}


def test_undefined_values_are_left_out_and_counted(table):
    table.loc[(table["model"] == "linear") & (table["condition"] == "a"), "value"] = np.nan
    table.loc[table["model"] == "latent", "value"] = np.nan
    rows = leaderboard(table).set_index(["dataset", "metric", "model"]).loc["norman19", :].loc["rmse_average"]
    assert rows["n_nan"].to_dict() == {"decoder": 0, "linear": 2, "latent": 4}
    assert rows.loc["linear", "mean"] == pytest.approx(0.45)
    assert rows.loc["latent", "n_seeds"] == 0
    assert pd.isna(rows.loc["latent", "place"])


def test_one_run_has_no_standard_deviation(table):
    board = leaderboard(table[table["seed"] == 0].drop(columns=["seed", "dataset", "task"]).drop_duplicates())
    assert board["sd"].isna().all()
    assert "±" not in to_markdown(board)


def test_repeated_values_and_unknown_metrics_are_refused(table):
    with pytest.raises(InputError, match="occur twice"):
        leaderboard(table.drop(columns="seed"))
    with pytest.raises(InputError, match="No metric 'rmse'"):
        leaderboard(table.replace("rmse_average", "rmse"))
    with pytest.raises(InputError, match="No column 'value'"):
        leaderboard(table.drop(columns="value"))


def test_differing_values_of_one_run_condition_and_metric_are_refused(table):
    one = table[(table["model"] == "linear") & (table["dataset"] == "norman19")].head(1)
    with pytest.raises(
        InputError, match=r"1 values occur twice .*first of dataset 'norman19', .*model 'linear', seed '0'"
    ):
        leaderboard(pd.concat([table, one.assign(value=0.9)]))


KEYS = ["dataset", "task", "seed"]


@pytest.mark.parametrize("gap", [None, np.nan, ""])
@pytest.mark.parametrize("key", KEYS)
def test_a_missing_key_is_a_value_of_its_own(table, key, gap):
    """No row is left out: what has no dataset stands on a board without, what has no seed is one run."""
    linear = table["model"] == "linear"
    first = linear & (table["seed"] == 0) if key == "seed" else linear & (table["dataset"] == "norman19")
    holed = table.assign(**{key: table[key].astype(object).mask(first, gap)})
    board, whole = leaderboard(holed), leaderboard(table)
    assert board["n_values"].sum() == whole["n_values"].sum() == len(table)
    assert board["n_seeds"].sum() == whole["n_seeds"].sum()
    other = [name for name in ("mean", "sd", "n_seeds") if key != "task"]
    assert sorted(map(tuple, board[["model", "metric", *other]].round(9).to_numpy())) == sorted(
        map(tuple, whole[["model", "metric", *other]].round(9).to_numpy())
    )


def test_a_table_without_keys_stands_beside_one_with_them(table):
    mine = table[(table["seed"] == 0) & (table["dataset"] == "norman19") & (table["model"] == "linear")]
    mine = mine.assign(model="mine", value=mine["value"] / 2).drop(columns=KEYS)
    tables = [("mine.csv", mine), ("chain.csv", table)]
    board = leaderboard(combined(tables)).set_index("model")
    assert board.loc["mine", "dataset"].tolist() == ["", ""]
    assert board.loc["mine", "n_seeds"].tolist() == [1, 1]
    assert list(lacking_keys(tables)) == [
        "mine.csv has rows without dataset, task: they stand on a board of their own.",
        "mine.csv has rows without seed: those of a model count as one run.",
    ]
    assert not list(lacking_keys(tables[:1]))
    assert not list(lacking_keys(tables[1:]))


def test_a_seed_that_some_rows_lack_is_another_run():
    rows = [("m", "a", "rmse_average", 1, 0.2), ("m", "a", "rmse_average", None, 9.0)]
    table = pd.DataFrame(rows, columns=["model", "condition", "metric", "seed", "value"])
    board = leaderboard(table)
    assert board[["mean", "n_seeds", "n_values"]].to_numpy().tolist() == [[4.6, 2, 2]]


def test_a_board_read_back_shows_all_models(table, tmp_path):
    """As ``tune`` on plain files: the dataset is empty, and an empty field reads as missing."""
    board = leaderboard(table[table["dataset"] == "norman19"].assign(dataset=""))
    board.to_csv(tmp_path / "board.csv", index=False)
    read = pd.read_csv(tmp_path / "board.csv")
    assert read["dataset"].isna().all()
    pd.testing.assert_frame_equal(to_text(read), to_text(board))
    assert to_text(read)["dataset"].tolist() == ["", "", ""]
    assert "**" in to_markdown(read, ["rmse_average"])
    assert to_markdown(read) == to_markdown(board)
    assert len(leaderboard_figure(read).axes[0].containers) == 1


@pytest.mark.parametrize("name", [None, np.nan, ""])
def test_rows_without_a_model_or_no_rows_are_refused(table, name):
    with pytest.raises(InputError, match="14 rows name no model"):
        leaderboard(table.assign(model=table["model"].mask(table["model"] == "linear", name)).head(30))
    with pytest.raises(InputError, match="No rows"):
        leaderboard(table.head(0))


def test_does_not_depend_on_the_order_of_rows(table):
    pd.testing.assert_frame_equal(leaderboard(table.sample(frac=1, random_state=0)), leaderboard(table))


def test_text_and_markdown(table):
    table.loc[table["model"] == "decoder", "value"] *= 0.9
    board = leaderboard(table)
    assert order_models(board, "rmse_average") == ["decoder", "latent", "linear"]
    text = to_text(board, ["rmse_average"])
    assert list(text.columns) == ["dataset", "task", "model", "rmse_average"]
    assert list(text["model"]) == ["decoder", "latent", "linear"] * 2
    assert text.loc[1, "rmse_average"] == "0.2 ± 0.14"
    lines = to_markdown(board, ["cosine_logfc", "rmse_average"]).splitlines()
    assert lines[0] == "| dataset | task | model | cosine_logfc ↑ | rmse_average ↓ |"
    assert lines[2] == "| norman19 | transfer | decoder | **-0.18 ± 0** | **0.18 ± 0** |"
    assert "**" not in lines[3]
    with pytest.raises(InputError, match="rmse_average"):
        order_models(board, "rmse_averag")


def test_figure(table, tmp_path):
    figure = leaderboard_figure(leaderboard(table))
    assert isinstance(figure, Figure)
    assert [panel.get_title() for panel in figure.axes] == ["cosine_logfc", "rmse_average"]
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == ["decoder", "latent", "linear"]
    assert [panel.get_xlabel() for panel in figure.axes] == ["higher is better", "lower is better"]
    dots = figure.axes[1].containers[0].lines[0].get_xydata()
    np.testing.assert_allclose(sorted(dots[:, 0]), [0.2, 0.2, 0.4])
    figure.savefig(tmp_path / "board.png")
    assert (tmp_path / "board.png").stat().st_size > 1000


def test_micro_and_macro_averages_are_named():
    rows = [("m", "s1", c, 1.0) for c in "abc"] + [("m", "s2", "a", 3.0), ("n", "s1", "a", 1.4), ("n", "s2", "a", 2.2)]
    table = pd.DataFrame(rows, columns=["model", "cell_type", "condition", "value"]).assign(metric="rmse_average")
    micro, macro = (leaderboard(table, average=name).set_index("model") for name in ("micro", "macro"))
    for board in (micro, macro):
        np.testing.assert_allclose(board["micro_mean"], [1.5, 1.8])
        np.testing.assert_allclose(board["macro_mean"], [2.0, 1.8])
    assert micro["mean"].tolist() == micro["micro_mean"].tolist()
    assert macro["mean"].tolist() == macro["macro_mean"].tolist()
    assert (micro["place"].to_dict(), macro["place"].to_dict()) == ({"m": 1, "n": 2}, {"m": 2, "n": 1})
    named = table.rename(columns={"condition": "gene"})
    assert leaderboard(named)["macro_mean"].isna().all()
    np.testing.assert_allclose(leaderboard(named, condition="gene")["macro_mean"], [2.0, 1.8])
    with pytest.raises(InputError, match="No column 'condition'"):
        leaderboard(named, average="macro")


def test_tables_with_different_covariates_stand_side_by_side(table):
    other = table[table["dataset"] == "norman19"].assign(dataset="frangieh21", cell_type="A375")
    board = leaderboard(pd.concat([table, other], ignore_index=True))
    np.testing.assert_allclose(board["macro_mean"], board["micro_mean"])
    assert board["dataset"].nunique() == 3
