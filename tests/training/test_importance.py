from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from perturbench_lamin.training.importance import LEAST_TRIALS, importance
from perturbench_lamin.training.study_figure import study_figure

SPACE = {
    "lr": FloatDistribution(1e-5, 1e-1, log=True),
    "width": IntDistribution(256, 1024, step=256),
    "inject": CategoricalDistribution([True, False]),
}


def trials(objective, repeats: int = 4) -> pd.DataFrame:
    """A complete trial at each point of a grid over the space, even on its scales, several times."""
    rates = 10 ** np.linspace(-4.9, -1.1, 20)
    grid = list(itertools.product(rates, (256, 512, 768, 1024), (True, False))) * repeats
    table = pd.DataFrame(grid, columns=list(SPACE)).astype({"inject": object})
    return table.assign(state="complete", objective=[objective(*point) for point in grid], trial=range(len(grid)))


def texts(figure) -> str:
    return " ".join(text.get_text() for text in figure.findobj(lambda artist: hasattr(artist, "get_text")))


def test_shares_are_those_of_the_variance_of_a_sum_on_the_scales_that_are_searched():
    def objective(lr, width, inject):
        return float(lr > 1e-3) + 0.2 * (width == 256) + 0.5 * inject

    variances = pd.Series({"lr": 1 / 4, "inject": 0.5**2 / 4, "width": 0.2**2 * 3 / 16})
    found = importance(trials(objective), SPACE)
    assert found.notes == ()
    assert list(found.shares.index) == ["lr", "inject", "width"]
    np.testing.assert_allclose(found.shares, variances / variances.sum(), atol=0.01)
    assert importance(trials(objective), SPACE).shares.equals(found.shares)


def test_what_acts_through_others_alone_has_no_share_of_its_own():
    found = importance(trials(lambda lr, width, inject: (lr > 1e-3) ^ inject), SPACE)
    assert found.shares.sum() < 0.05


def test_what_does_not_count_is_told():
    table = trials(lambda lr, width, inject: np.log10(lr), repeats=1)
    table = table.assign(width=512)
    table.loc[[3, 5], "state"], table.loc[7, "state"] = "pruned", "failed"
    table.loc[[3, 5, 7], "objective"] = np.nan
    found = importance(table, SPACE)
    assert found.notes == (
        "Not counted: 1 failed and 2 pruned trials, which have no objective.",
        "Not varied: width.",
    )
    assert list(found.shares.index) == ["lr", "inject"]
    assert "Not varied: width." in texts(study_figure(table, SPACE))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda table: table[: LEAST_TRIALS - 1], f"Needs {LEAST_TRIALS} complete trials; there are 9."),
        (lambda table: table.assign(objective=0.3), "All complete trials have the same objective."),
        (lambda table: table.assign(lr=1e-3, width=256, inject=True), "same hyperparameters."),
        (lambda table: table.assign(state="failed", objective=np.nan), "there are 0."),
    ],
)
def test_where_nothing_can_be_said_the_picture_says_why(change, reason):
    table = change(trials(lambda lr, width, inject: lr, repeats=1))
    found = importance(table, SPACE)
    assert found.shares.empty
    assert found.notes[0].endswith(reason)
    figure = study_figure(table, SPACE)
    figure.canvas.draw()
    assert reason in texts(figure).replace("\n", " ")
