"""t statistics, against scipy."""

import numpy as np
import pytest
from scipy import stats

from perturbench_lamin.evaluation.aggregate import Moments
from perturbench_lamin.evaluation.tscores import t_scores


def moments(*groups):
    with np.errstate(invalid="ignore"):
        variances = np.array([g.var(axis=0, ddof=1) if len(g) > 1 else np.full(g.shape[1], np.nan) for g in groups])
    return Moments(np.array([len(g) for g in groups]), np.array([g.mean(axis=0) for g in groups]), variances)


@pytest.fixture
def samples():
    rng = np.random.default_rng(0)
    return rng.gamma(1.0, 1.0, (9, 6)), rng.gamma(1.0, 1.0, (30, 6))


def test_welch(samples):
    expected = stats.ttest_ind(*samples, equal_var=False).statistic
    np.testing.assert_allclose(t_scores(moments(samples[0]), moments(samples[1]), "t-test")[0], expected, rtol=1e-12)


def test_overestimated_variance_takes_the_groups_size_for_the_controls(samples):
    group, control = moments(samples[0]), moments(samples[1])
    expected = stats.ttest_ind_from_stats(
        group.means[0], np.sqrt(group.variances[0]), 9, control.means[0], np.sqrt(control.variances[0]), 9, False
    ).statistic
    np.testing.assert_allclose(t_scores(group, control, "t-test_overestim_var")[0], expected, rtol=1e-12)


def test_no_variance():
    constant, other = np.ones((3, 2)), np.zeros((4, 2))
    assert (t_scores(moments(constant), moments(other), "t-test") == 0).all()
    assert np.isnan(t_scores(moments(constant[:1]), moments(other), "t-test")).all()
