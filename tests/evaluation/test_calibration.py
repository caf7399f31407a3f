"""Calibration: duplicates and dynamic range."""

import numpy as np
import pandas as pd
import pytest
from evaluation_cells import KEYS, make_cells

from perturbench_lamin.errors import InputError
from perturbench_lamin.evaluation.calibration import calibrate, dynamic_range
from perturbench_lamin.evaluation.profiles import Profile

PROFILE = Profile("own", ("rmse_average", "pearson_delta_control", "pearson_delta_perturbation_mean", "wmse_average"))


def test_dynamic_range_is_the_published_one():
    scores = dynamic_range(np.array([0.9, 0.2]), np.array([0.5, 0.6]), np.ones(2))
    np.testing.assert_allclose(scores, [0.4 / 0.5, -1.0])
    errors = dynamic_range(np.array([0.1, 0.9, 0.0]), np.array([0.5, 0.3, 0.0]), np.zeros(3))
    np.testing.assert_allclose(errors, [0.4 / 0.5, -1.0, 0.0])
    assert np.isnan(dynamic_range(np.array([0.1]), np.array([np.nan]), np.ones(1)))[0]


@pytest.fixture(scope="module")
def truth():
    return make_cells(0, cells=40, genes=30)


def test_clear_effects_can_be_ranked(truth):
    summary = calibrate(truth, KEYS, PROFILE).summary().set_index("metric")
    assert (summary["fraction"] > 0.5).all()
    assert summary["can_rank"].all()
    assert (summary["n"] == 10).all()


def test_noise_cannot(truth):
    noise = truth.copy()
    perturbed = (noise.obs["condition"] != "control").to_numpy()
    labels = noise.obs["condition"].astype(str).to_numpy().copy()
    labels[perturbed] = np.random.default_rng(0).permutation(labels[perturbed])
    noise.obs["condition"] = labels
    summary = calibrate(noise, KEYS, PROFILE).summary().set_index("metric")
    # The other half is noisier than the mean: a worse prediction.
    assert (summary.loc[["rmse_average", "wmse_average"], "fraction"] < 0).all()
    assert not summary.loc[["rmse_average", "wmse_average"], "can_rank"].any()


def test_negative_controls_and_halves(truth):
    table = calibrate(truth, KEYS, PROFILE).table.set_index(["metric", "cell_type", "condition"]).sort_index()
    assert len(table) == 4 * 10
    # The two halves are other cells: not perfect; the interpolated one is between or beyond by little.
    assert (table.loc["rmse_average", "positive"] > 0).all()
    assert table.loc["rmse_average", "interpolated"].mean() < table.loc["rmse_average", "negative"].mean()
    assert table.loc["pearson_delta_perturbation_mean", "negative"].notna().all()  # the control mean, not 0/0


def test_does_not_depend_on_the_order_of_cells_but_on_the_seed(truth):
    first = calibrate(truth, KEYS, PROFILE).table
    other = calibrate(truth[::-1], KEYS, PROFILE).table
    pd.testing.assert_frame_equal(first, other, rtol=1e-9)
    assert not np.allclose(first["positive"], calibrate(truth, KEYS, PROFILE, seed=1).table["positive"])


def test_conditions_of_one_cell_are_left_out(truth):
    cells = np.flatnonzero((truth.obs["condition"] == "p0") & (truth.obs["cell_type"] == "ct0"))
    table = calibrate(truth[np.setdiff1d(np.arange(truth.n_obs), cells[1:])], KEYS, PROFILE).table
    assert len(table) == 4 * 9
    single = truth[~truth.obs[["condition", "cell_type"]].duplicated()]
    with pytest.raises(InputError, match="No prediction for 10 of the 10"):
        calibrate(single, KEYS, PROFILE)
