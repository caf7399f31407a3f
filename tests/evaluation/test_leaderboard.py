"""Leaderboards and their figure."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from perturbench_lamin.errors import InputError
from perturbench_lamin.evaluation.figure import leaderboard_figure
from perturbench_lamin.evaluation.leaderboard import leaderboard, order_models, to_markdown, to_text

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
