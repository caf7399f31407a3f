"""Gene subsets as an option of metrics."""

import numpy as np
import pytest
from evaluation_cells import KEYS, make_cells, plain_mean, values
from scipy import stats

from perturbench_lamin.errors import InputError
from perturbench_lamin.evaluation.evaluate import evaluate
from perturbench_lamin.evaluation.profiles import Profile
from perturbench_lamin.evaluation.registry import get_metric

CONDITIONS = [f"p{i}" for i in range(5)]


def score(truth, prediction, *names):
    return evaluate(truth, {"m": prediction}, KEYS, Profile("own", names)).table


@pytest.fixture(scope="module")
def cells():
    return make_cells(0, states=1, cells=9, genes=20), make_cells(1, states=1, cells=9, genes=20)


def plain(adata):
    return np.array([plain_mean(adata, "ct0", c) for c in CONDITIONS])


def samples(adata, condition):
    return adata[adata.obs["condition"] == condition, np.argsort(adata.var_names)].X.toarray().astype(float)


def test_highest_expressed_in_control(cells):
    truth, prediction = cells
    genes = np.argsort(-plain_mean(truth, "ct0", "control"), kind="stable")[:7]
    expected = np.linalg.norm(plain(truth)[:, genes] - plain(prediction)[:, genes], axis=1)
    np.testing.assert_allclose(values(score(*cells, "l2_average@expressed7"), "l2_average@expressed7"), expected)


@pytest.mark.parametrize("subset", ["de4", "fdr0.1"])
def test_differentially_expressed_genes_are_each_conditions_own(cells, subset):
    truth, prediction = cells
    name = f"mae_average@{subset}"
    found = values(score(*cells, name), name)
    control = samples(truth, "control")
    for i, condition in enumerate(CONDITIONS):
        test = stats.ttest_ind(samples(truth, condition), control, equal_var=False)
        adjusted = stats.false_discovery_control(test.pvalue)
        genes = np.argsort(-np.abs(test.statistic))[:4] if subset == "de4" else np.flatnonzero(adjusted < 0.1)
        error = np.abs(plain(truth)[i] - plain(prediction)[i])[genes]
        assert found[i] == pytest.approx(error.mean()) if len(genes) else np.isnan(found[i])
    assert np.isfinite(found).any()


@pytest.mark.parametrize(
    "name", ["rmse_average", "cosine_logfc", "centroid_accuracy", "wmse_average", "pearson_scores"]
)
def test_all_genes_are_no_subset(cells, name):
    table = score(*cells, name, f"{name}@expressed20", f"{name}@de20")
    for subset in ("expressed20", "de20"):
        np.testing.assert_allclose(values(table, f"{name}@{subset}"), values(table, name), rtol=1e-12)


def test_ranks_use_the_genes_of_the_truth_that_they_are_against(cells):
    truth, prediction = cells
    name = "rmse_average_rank@de3"
    found = values(score(*cells, name), name)
    control, mu, hat = samples(truth, "control"), plain(truth), plain(prediction)
    for i, condition in enumerate(CONDITIONS):
        t = np.abs(stats.ttest_ind(samples(truth, condition), control, equal_var=False).statistic)
        genes = np.argsort(-t)[:3]
        distance = np.sqrt(((hat[:, genes] - mu[i, genes]) ** 2).mean(axis=1))
        assert found[i] == (np.delete(distance, i) <= distance[i]).mean()


def test_a_condition_without_genes_is_undefined_and_counted(cells):
    truth, prediction = cells
    result = evaluate(truth, {"m": prediction}, KEYS, Profile("own", ("mae_average@fdr0.000001",)))
    n = int(np.isnan(result.table["value"]).sum())
    assert n > 0
    assert [note.count for note in result.notes if note.kind == "undefined"] == [n]


@pytest.mark.parametrize(
    ("name", "match"),
    [
        ("rmse_average@top5", "No gene subset 'top5'"),
        ("rmse_average@de0", "makes no sense"),
        ("rmse_average@de2.5", "makes no sense"),
        ("rmse_average@fdr2", "makes no sense"),
        ("rmse_average@de1.2.3", "is no number"),
        ("mmd_pca@de5", "takes no gene subset"),
        ("overlap_at_N@de5", "takes no gene subset"),
        ("nonadditive_auprc@de5", "takes no gene subset"),
        ("rmse_avrage@de5", "No metric 'rmse_avrage'"),
    ],
)
def test_what_is_no_subset(name, match):
    with pytest.raises(InputError, match=match):
        get_metric(name)


def test_the_definition_says_so():
    metric = get_metric("rmse_average_rank@de20")
    assert metric.name == "rmse_average_rank@de20"
    assert metric.formula.endswith("over genes de20")
    assert "variances" in metric.needs
    assert not get_metric("rmse_average@expressed5").needs
