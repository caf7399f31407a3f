"""Bootstrap intervals and paired differences."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perturbench_lamin.conditions import ObsKeys
from perturbench_lamin.errors import InputError
from perturbench_lamin.evaluation.bootstrap import Resampling, intervals, paired_differences
from perturbench_lamin.evaluation.result import WHOLE_STATE

KEYS = ObsKeys()
FEW = Resampling(draws=400)


def make_table(values, model="m", metric="rmse_average"):
    """Values of conditions × states."""
    rows = [(model, f"ct{s}", f"p{c}", metric, v) for c, row in enumerate(values) for s, v in enumerate(row)]
    return pd.DataFrame(rows, columns=["model", "cell_type", "condition", "metric", "value"])


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 1000))
def test_intervals_hold_the_mean_and_lie_among_the_values(seed):
    values = np.random.default_rng(seed).normal(size=(12, 2))
    row = intervals(make_table(values), KEYS, FEW).iloc[0]
    assert row["mean"] == pytest.approx(values.mean())
    assert values.min() <= row["low"] <= row["mean"] <= row["high"] <= values.max()


def test_the_width_is_that_of_the_central_limit():
    values = np.random.default_rng(0).normal(size=(400, 1))
    row = intervals(make_table(values), KEYS, Resampling(draws=4000)).iloc[0]
    expected = 2 * 1.96 * values.std(ddof=1) / 20
    assert row["high"] - row["low"] == pytest.approx(expected, rel=0.08)


def test_conditions_are_drawn_with_all_their_states():
    # Two states with the same values say no more than one.
    values = np.random.default_rng(0).normal(size=(30, 1))
    one, two = (intervals(make_table(np.tile(values, n)), KEYS, FEW).iloc[0] for n in (1, 2))
    assert (one["low"], one["high"]) == pytest.approx((two["low"], two["high"]))


def test_macro_means_weigh_states_the_same():
    values = np.array([[1.0, 5.0], [2.0, np.nan], [3.0, np.nan]])
    row = intervals(make_table(values), KEYS, FEW).iloc[0]
    assert row["mean"] == pytest.approx(11 / 4)
    assert row["macro_mean"] == pytest.approx((2 + 5) / 2)
    assert row["macro_low"] <= row["macro_mean"] <= row["macro_high"]


def test_no_interval_without_conditions_to_draw():
    for table in (make_table([[1.0]]), make_table([[1.0]]).assign(condition=WHOLE_STATE), make_table([[np.nan]] * 3)):
        row = intervals(table, KEYS, FEW).iloc[0]
        assert np.isnan(row["low"])
        assert np.isnan(row["high"])


def test_paired_differences_are_surer_than_the_means():
    rng = np.random.default_rng(0)
    hard = rng.normal(size=(40, 1)) * 5
    better = hard - 0.2 + rng.normal(size=(40, 1)) * 0.1
    table = pd.concat([make_table(hard, "a"), make_table(better, "b"), make_table(hard, "c")])
    found = paired_differences(table, KEYS, "a", FEW).set_index("model")
    assert found.loc["b", "mean"] == pytest.approx((better - hard).mean())
    assert found["differs"].to_dict() == {"b": True, "c": False}
    bounds = intervals(table, KEYS, FEW).set_index("model")
    assert bounds.loc["a", "low"] < bounds.loc["b", "high"]  # the plain intervals overlap
    assert found.loc["b", "high"] - found.loc["b", "low"] < 0.1


def test_differences_are_where_both_are_defined():
    table = pd.concat([make_table([[1.0], [np.nan], [3.0]], "a"), make_table([[2.0], [2.0], [5.0]], "b")])
    row = paired_differences(table, KEYS, "a", FEW).iloc[0]
    assert (row["mean"], row["n"]) == (1.5, 2)


def test_the_same_seed_gives_the_same_whatever_the_order_of_rows():
    table = make_table(np.random.default_rng(0).normal(size=(9, 3)))
    pd.testing.assert_frame_equal(
        intervals(table, KEYS, FEW), intervals(table.sample(frac=1, random_state=0), KEYS, FEW)
    )
    other = intervals(table, KEYS, Resampling(draws=400, seed=1))
    assert not other["low"].equals(intervals(table, KEYS, FEW)["low"])


def test_covariates_may_be_none():
    table = make_table([[1.0], [2.0]]).drop(columns="cell_type")
    assert intervals(table, ObsKeys(covariates=()), FEW).iloc[0]["macro_mean"] == 1.5


def test_refused():
    with pytest.raises(InputError, match="No model 'x'"):
        paired_differences(make_table([[1.0]]), KEYS, "x")
    with pytest.raises(InputError, match="resampling"):
        Resampling(level=1.5)
