"""The registry: definitions, names, users' own metrics."""

import numpy as np
import pytest
from evaluation_cells import KEYS, make_cells, values

from perturbench_lamin.errors import InputError
from perturbench_lamin.evaluation import registry
from perturbench_lamin.evaluation.aggregations import AGGREGATIONS
from perturbench_lamin.evaluation.evaluate import evaluate
from perturbench_lamin.evaluation.metric import Metric
from perturbench_lamin.evaluation.profiles import PAPER, PROFILES, Profile, get_profile
from perturbench_lamin.evaluation.registry import get_metric, metric_names, register


@pytest.fixture
def own_registry(monkeypatch):
    monkeypatch.setattr(registry, "_REGISTRY", dict(registry._REGISTRY))


def largest_error(truth, prediction):
    return np.abs(truth - prediction).max(axis=1)


OWN = Metric("max_error_average", "average", largest_error, "max |e|", (0, float("inf")), 0.0, False, "this study")


@pytest.mark.parametrize("name", metric_names())
def test_every_metric_says_what_it_is(name):
    metric = get_metric(name)
    assert metric.name == name
    assert metric.aggregation in AGGREGATIONS
    assert metric.formula
    assert metric.citation
    assert metric.space == "log1p"
    assert metric.reference in ("none", "control", "perturbation mean")
    low, high = metric.range
    assert metric.best == (high if metric.higher_is_better else low)
    assert metric.constant_score is None or low <= metric.constant_score <= high


@pytest.mark.parametrize("profile", PROFILES)
def test_every_profile_names_metrics_that_exist(profile):
    names = get_profile(profile).metrics
    assert len(set(names)) == len(names)
    assert all(get_metric(name) for name in names)


def test_an_unknown_name_is_answered_with_the_nearest():
    with pytest.raises(InputError, match="rmse_average"):
        get_metric("rmse_averge")
    with pytest.raises(InputError, match="No metric 'centroid_accuracy_rank'"):
        get_metric("centroid_accuracy_rank")


def test_a_users_metric_plugs_in_with_its_rank(own_registry):
    register(OWN)
    truth, prediction = make_cells(0), make_cells(1)
    profile = Profile("mine", ("max_error_average", "max_error_average_rank"), PAPER)
    table = evaluate(truth, {"m": prediction}, KEYS, profile).table
    from evaluation_cells import plain_mean

    conditions = [f"p{i}" for i in range(5)]
    mu, hat = (np.array([plain_mean(cells, "ct0", c) for c in conditions]) for cells in (truth, prediction))
    scores = np.abs(hat[:, None] - mu[None, :]).max(axis=2)
    np.testing.assert_allclose(values(table, "max_error_average")[:5], np.diag(scores), rtol=1e-12)
    ranks = [(np.delete(scores[:, i], i) <= scores[i, i]).mean() for i in range(5)]
    np.testing.assert_allclose(values(table, "max_error_average_rank")[:5], ranks)


def test_what_cannot_be_registered(own_registry):
    from dataclasses import replace

    register(OWN)
    with pytest.raises(InputError, match="already"):
        register(OWN)
    register(replace(OWN, formula="other"), replace_existing=True)
    assert get_metric(OWN.name).formula == "other"
    with pytest.raises(InputError, match="has '@' in it"):
        register(replace(OWN, name="x@de5"))
    with pytest.raises(InputError, match="rank"):
        register(replace(OWN, name="x_rank"))
    with pytest.raises(InputError, match="average"):
        register(replace(OWN, name="x", aggregation="averag"))
