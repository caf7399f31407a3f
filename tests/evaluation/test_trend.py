from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from perturbench_lamin.errors import InputError
from perturbench_lamin.evaluation.collapse import agreement, collapse_figure, runs_table
from perturbench_lamin.evaluation.trend import save_figure, trend_figure, trend_table


def metrics(values):
    """One row a condition: (task, model, seed, metric) → values of the conditions."""
    rows = [
        {"task": task, "model": model, "seed": seed, "metric": metric, "condition": f"c{i}", "value": value}
        for (task, model, seed, metric), column in values.items()
        for i, value in enumerate(column)
    ]
    return pd.DataFrame(rows)


TABLE = metrics(
    {
        ("big", "linear", 1, "rmse_average"): [1.0, 3.0],
        ("big", "linear", 2, "rmse_average"): [3.0, 5.0],
        ("small", "linear", 1, "rmse_average"): [6.0, np.nan],
    }
)


def test_a_trend_is_the_leaderboard_of_each_task_in_the_order_of_the_levels():
    trend = trend_table(TABLE, {"small": 10, "big": 100})
    assert trend["level"].tolist() == [10.0, 100.0]
    assert trend["mean"].tolist() == [6.0, 3.0]
    assert trend["sd"].iloc[1] == pytest.approx(np.std([2, 4], ddof=1))
    assert np.isnan(trend["sd"].iloc[0])
    figure = trend_figure(trend, "cells", log=True)
    (axes,) = figure.axes
    assert axes.get_xscale() == "log"
    assert axes.get_title() == "rmse_average"
    assert [tick.get_text() for tick in axes.get_xticklabels()] == ["10", "100"]


def test_tasks_without_metrics_and_metrics_without_a_task_are_refused():
    with pytest.raises(InputError, match="No metrics of medium"):
        trend_table(TABLE, {"small": 1, "medium": 2, "big": 3})
    with pytest.raises(InputError, match="Metrics of other tasks: small"):
        trend_table(TABLE, {"big": 3})


def test_a_figure_has_the_same_bytes_again(tmp_path):
    trend = trend_table(TABLE, {"small": 10, "big": 100})
    one = save_figure(trend_figure(trend, "cells"), tmp_path / "one.png")
    other = save_figure(trend_figure(trend, "cells"), tmp_path / "other.png")
    assert one.read_bytes() == other.read_bytes()


def test_runs_and_whether_fit_and_rank_agree(tmp_path):
    def runs(ranks):
        fits = {f"m{i}": float(i) for i in range(4)}
        values = {("t", model, 1, "rmse_average"): [fit, fit + 1] for model, fit in fits.items()}
        values |= {("t", f"m{i}", 1, "rmse_average_rank"): [rank, rank] for i, rank in enumerate(ranks)}
        values |= {("t", model, 1, "cosine_logfc"): [-fit] for model, fit in fits.items()}
        values |= {("t", f"m{i}", 1, "cosine_logfc_rank"): [rank] for i, rank in enumerate(ranks)}
        return runs_table(metrics(values))

    same, turned = runs([0.1, 0.2, 0.3, 0.4]), runs([0.4, 0.3, 0.2, 0.1])
    rmse = same[same["metric"] == "rmse_average"]
    assert rmse["fit"].tolist() == [0.5, 1.5, 2.5, 3.5]
    assert rmse["rank"].tolist() == [0.1, 0.2, 0.3, 0.4]
    assert agreement(same).set_index("metric")["spearman"].to_dict() == pytest.approx(
        {"rmse_average": 1.0, "cosine_logfc": 1.0}
    )
    assert agreement(turned)["spearman"].tolist() == pytest.approx([-1.0, -1.0])
    assert agreement(runs([0.5] * 4))["spearman"].isna().all(), "a rank that is always chance orders nothing"
    assert len(collapse_figure(same).axes) == 2
    with pytest.raises(InputError, match="No metric comes with its rank: rmse_average"):
        runs_table(TABLE)
