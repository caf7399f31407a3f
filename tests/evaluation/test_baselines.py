"""Baselines scored beside submissions."""

import numpy as np
import pandas as pd
import pytest
from anndata import AnnData
from evaluation_cells import KEYS, make_cells, plain_mean

from perturbench_lamin.errors import InputError
from perturbench_lamin.evaluation.evaluate import evaluate
from perturbench_lamin.evaluation.profiles import Profile
from perturbench_lamin.models.embedding_regression import COMPONENTS, RIDGE

RMSE = Profile("own", ("rmse_average",))


def named(adata, names, genes=True):
    """Conditions renamed, and some genes after them."""
    copy = adata.copy()
    copy.obs["condition"] = copy.obs["condition"].cat.rename_categories(names)
    if genes:
        copy.var_names = ["GA", "GB", "GC", "GD", *copy.var_names[4:]]
    return copy


NAMES = {"p0": "GA", "p1": "GB", "p2": "GC", "p3": "GD", "p4": "GA+GB"}


@pytest.fixture(scope="module")
def cells():
    truth, training = (named(make_cells(seed, cells=12, genes=25), NAMES) for seed in (0, 1))
    return truth, training[training.obs["condition"] != "GD"].copy()


def scored(truth, training, baseline):
    result = evaluate(truth, {"m": truth}, KEYS, RMSE, training=training, baselines=True)
    rows = result.table[result.table["model"] == f"baseline: {baseline}"]
    return result, rows.set_index(["cell_type", "condition"])["value"]


def rmse(truth, state, condition, row):
    return np.sqrt(np.mean((sorted_mean(truth, state, condition) - row) ** 2))


def sorted_mean(adata, state, condition):
    return plain_mean(adata[:, np.argsort(adata.var_names)], state, condition)


def test_control_mean_is_of_the_truth(cells):
    _, found = scored(*cells, "control mean")
    for (state, condition), value in found.items():
        assert value == pytest.approx(rmse(cells[0], state, condition, sorted_mean(cells[0], state, "control")))


def test_perturbation_mean_is_of_training(cells):
    truth, training = cells
    _, found = scored(truth, training, "perturbation mean")
    for (state, condition), value in found.items():
        mean = np.mean([sorted_mean(training, state, c) for c in ("GA", "GB", "GC", "GA+GB")], axis=0)
        assert value == pytest.approx(rmse(truth, state, condition, mean))


def test_additive_sums_the_training_effects(cells):
    truth, training = cells
    result, found = scored(truth, training, "additive")
    for state in ("ct0", "ct1"):
        control = sorted_mean(training, state, "control")
        change = {c: sorted_mean(training, state, c) - control for c in ("GA", "GB")}
        own = sorted_mean(truth, state, "control")
        assert found[state, "GA"] == pytest.approx(rmse(truth, state, "GA", own + change["GA"]))
        assert found[state, "GA+GB"] == pytest.approx(rmse(truth, state, "GA+GB", own + change["GA"] + change["GB"]))
        assert found[state, "GD"] == pytest.approx(rmse(truth, state, "GD", own))  # unknown: no change
    notes = [note for note in result.notes if note.kind == "baseline" and "additive" in note.model]
    assert [note.count for note in notes] == [2]


def test_additive_borrows_an_effect_from_other_states(cells):
    truth, training = cells
    part = training[~((training.obs["cell_type"] == "ct0") & (training.obs["condition"] == "GA"))]
    _, found = scored(truth, part, "additive")
    change = sorted_mean(training, "ct1", "GA") - sorted_mean(training, "ct1", "control")
    assert found["ct0", "GA"] == pytest.approx(rmse(truth, "ct0", "GA", sorted_mean(truth, "ct0", "control") + change))


def test_linear_is_the_published_formula(cells):
    truth, training = cells
    _, found = scored(truth, training, "linear")
    states, singles = ("ct0", "ct1"), ("GA", "GB", "GC")
    genes = sorted(truth.var_names)
    bulks = np.array([sorted_mean(training, s, c) for s in states for c in ("GA", "GA+GB", "GB", "GC", "control")]).T
    left, sizes, _ = np.linalg.svd(bulks - bulks.mean(axis=0), full_matrices=False)
    G = (left * sizes)[:, :COMPONENTS]
    Y = np.array([sorted_mean(training, s, c) - sorted_mean(training, s, "control") for s in states for c in singles]).T
    P = G[[genes.index(c) for _ in states for c in singles]]
    # The published script has the control of each state among the columns, unchanged and without an embedding.
    Y, P = np.hstack([Y, np.zeros((len(genes), 2))]), np.vstack([P, np.zeros((2, G.shape[1]))])
    b, penalty = Y.mean(axis=1), RIDGE * np.eye(G.shape[1])
    W = np.linalg.inv(G.T @ G + penalty) @ G.T @ (Y - b[:, None]) @ P @ np.linalg.inv(P.T @ P + penalty)
    for state in states:
        own = sorted_mean(truth, state, "control")
        for condition in ("GA", "GD"):
            row = own + b + G @ W @ G[genes.index(condition)]
            assert found[state, condition] == pytest.approx(rmse(truth, state, condition, row))
        both = own + b + G @ W @ (G[genes.index("GA")] + G[genes.index("GB")])
        assert found[state, "GA+GB"] == pytest.approx(rmse(truth, state, "GA+GB", both))


def test_what_cannot_be_made_is_left_out():
    truth = make_cells(0)
    models = set(evaluate(truth, {"m": truth}, KEYS, RMSE, baselines=True).table["model"])
    assert models == {"m", "baseline: control mean", "baseline: perturbation mean"}
    models = set(evaluate(truth, {"m": truth}, KEYS, RMSE, training=make_cells(1), baselines=True).table["model"])
    assert "baseline: linear" not in models  # no gene is named like a perturbation
    assert "baseline: additive" in models


def test_metrics_on_cells_see_as_many_equal_cells_as_the_truth_has():
    truth = make_cells(0, states=1, cells=14)
    profile = Profile("own", ("overlap_at_N", "mmd_pca", "top_k_recall_scores", "mmd_cells", "pearson_edistance_cells"))
    result = evaluate(truth, {"m": truth}, KEYS, profile, baselines=True)
    mean = np.mean([plain_mean(truth, "ct0", f"p{i}") for i in range(5)], axis=0)
    obs = pd.DataFrame({"condition": np.repeat([f"p{i}" for i in range(5)], 14), "cell_type": "ct0"})
    same = AnnData(np.tile(mean, (70, 1)), obs=obs.set_index(obs.index.map(str)), var=truth.var)
    other = evaluate(truth, {"m": same}, KEYS, profile).table
    rows = result.table[result.table["model"] == "baseline: perturbation mean"]
    pd.testing.assert_series_equal(
        rows["value"].reset_index(drop=True), other["value"], rtol=1e-9, atol=1e-9, check_index=False
    )


def test_baselines_keep_their_names():
    truth = make_cells(0)
    with pytest.raises(InputError, match="are the baselines'"):
        evaluate(truth, {"baseline: mine": truth}, KEYS)
