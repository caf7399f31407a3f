"""Non-additive effects of pairs."""

import numpy as np
import pytest
from anndata import AnnData
from evaluation_cells import KEYS, make_cells, plain_mean, values

from perturbench_lamin.evaluation.evaluate import evaluate
from perturbench_lamin.evaluation.nonadditive import nonadditive_auprc, nonadditive_recall, threshold
from perturbench_lamin.evaluation.profiles import Profile
from perturbench_lamin.evaluation.result import WHOLE_STATE


def test_the_threshold_is_beyond_the_null_and_before_the_outliers():
    rng = np.random.default_rng(0)
    null = rng.normal(0, 0.1, 20_000)
    found = threshold(np.concatenate([null, rng.choice([-1, 1], 200) * rng.normal(1.0, 0.05, 200)]))
    assert 0.3 < found < 0.7
    assert found == pytest.approx(threshold(np.concatenate([null, rng.normal(1.0, 0.05, 200)]) * 10) / 10, rel=0.15)


def test_pure_noise_has_at_most_a_few():
    null = np.random.default_rng(1).normal(size=20_000)
    assert (np.abs(null) >= threshold(null)).mean() < 1e-3


@pytest.mark.parametrize("departures", [np.zeros(10), np.array([0.0] * 9 + [1.0]), np.array([0.2] * 6 + [1, 2, 3, 4])])
def test_more_than_half_of_the_departures_equal_are_no_null(departures):
    """Their median absolute deviation is 0, and so would be a threshold: every gene would pass it."""
    assert np.isnan(threshold(departures))
    additive = np.zeros((1, len(departures)))
    truth, all_genes = departures[None], np.ones((1, len(departures)), dtype=bool)
    for prediction in (truth, -truth, np.ones_like(truth)):
        assert np.isnan(nonadditive_recall(truth, prediction, additive, all_genes)).all()
        assert np.isnan(nonadditive_auprc(truth, prediction, additive, all_genes)).all()


def test_half_of_the_departures_equal_are_enough_of_a_null():
    departures = np.array([0.0] * 9 + [-0.1, 0.1] * 5 + [5.0])
    assert 0.1 < threshold(departures) < 5


def test_what_has_no_null_is_counted():
    truth = make_cells(0, conditions=3, states=1, cells=20, genes=40)
    names = dict(zip([f"p{i}" for i in range(3)], ["A", "B", "A+B"], strict=True))
    truth.obs["condition"] = truth.obs["condition"].cat.rename_categories(names)
    truth.X = truth.X.toarray() * (np.arange(40) >= 30)  # genes that no cell has: as many departures of 0
    result = evaluate(truth, {"m": truth}, KEYS, Profile("pairs", ("nonadditive_recall",)))
    assert result.table["value"].isna().all()
    notes = [note for note in result.notes if note.kind == "undefined"]
    assert [(note.model, note.count) for note in notes] == [("m", 3)]


@pytest.fixture
def pairs():
    rng = np.random.default_rng(0)
    additive = rng.random((4, 2000))
    truth = additive + rng.normal(0, 0.02, additive.shape)
    truth[:2, :30] += 1.0
    additive[3] = np.nan
    return truth, additive, np.broadcast_to(np.arange(2000) < 1500, truth.shape)


def test_the_additive_prediction_finds_nothing_and_the_truth_everything(pairs):
    truth, additive, expressed = pairs
    assert nonadditive_recall(truth, truth, additive, expressed)[:2].tolist() == [1.0, 1.0]
    assert nonadditive_auprc(truth, truth, additive, expressed)[0] == 1.0
    guess = np.nan_to_num(additive) + np.random.default_rng(1).normal(0, 0.01, additive.shape)
    assert nonadditive_recall(truth, guess, additive, expressed)[:2].mean() < 0.2
    assert nonadditive_auprc(truth, guess, additive, expressed)[0] < 0.1


def test_what_is_no_pair_is_undefined(pairs):
    truth, additive, expressed = pairs
    assert np.isnan(nonadditive_recall(truth, truth, additive, expressed)[3])
    assert np.isnan(nonadditive_auprc(truth, truth, np.full(truth.shape, np.nan), expressed)[0])


def test_in_an_evaluation_the_singles_come_from_the_truth():
    truth = make_cells(0, conditions=6, states=1, cells=20, genes=60)
    names = dict(zip([f"p{i}" for i in range(6)], ["A", "B", "C", "A+B", "A+C", "B+D"], strict=True))
    truth.obs["condition"] = truth.obs["condition"].cat.rename_categories(names)
    table = evaluate(
        truth, {"m": truth}, KEYS, Profile("pairs", ("nonadditive_recall", "nonadditive_auprc"))
    ).table.set_index(["metric", "condition"])["value"]
    assert np.isnan(table["nonadditive_recall"][["A", "B", "C", "B+D"]]).all()
    assert table["nonadditive_auprc"].index.tolist() == [WHOLE_STATE]


def test_baseline_of_the_sum():
    truth = make_cells(0, conditions=4, states=1, cells=20, genes=30)
    names = dict(zip([f"p{i}" for i in range(4)], ["A", "B", "A+B", "A+Z"], strict=True))
    truth.obs["condition"] = truth.obs["condition"].cat.rename_categories(names)
    result = evaluate(truth, {"m": truth}, KEYS, Profile("one", ("rmse_average",)), baselines=True)
    table = result.table[result.table["model"] == "baseline: additive"].set_index("condition")["value"]
    mu = {name: plain_mean(truth, "ct0", name) for name in ("control", "A", "B", "A+B", "A+Z")}
    expected = np.sqrt(np.mean((mu["A"] + mu["B"] - mu["control"] - mu["A+B"]) ** 2))
    assert table["A+B"] == pytest.approx(expected)
    # The truth's own singles are no prediction of themselves.
    assert table["A"] == pytest.approx(np.sqrt(np.mean((mu["control"] - mu["A"]) ** 2)))
    assert table["A+Z"] == pytest.approx(np.sqrt(np.mean((mu["A"] - mu["A+Z"]) ** 2)))
    assert [note.count for note in result.notes if note.kind == "baseline"] == [3]
    assert isinstance(truth, AnnData)
    assert len(values(result.table, "rmse_average")) == 4 * 4
