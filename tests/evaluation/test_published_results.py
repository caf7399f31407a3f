"""Published results beside a leaderboard."""

import numpy as np
import pandas as pd
import pytest

from perturbench_lamin.catalog.datasets import DATASETS as CATALOG
from perturbench_lamin.errors import InputError
from perturbench_lamin.evaluation import published
from perturbench_lamin.evaluation.published import published_results, with_published
from perturbench_lamin.evaluation.registry import get_metric
from perturbench_lamin.models.registry import MODELS


def test_names_are_ours():
    table = published_results()
    assert set(table["dataset"]) <= set(CATALOG)
    assert all(get_metric(name) for name in table["metric"].unique())
    assert {"linear", "latent_additive", "decoder_only"} <= set(table["model"]) & set(MODELS)
    assert table["source"].notna().all()
    assert not table.duplicated(published.KEY).any()


def test_the_papers_tables_alone_unless_asked():
    final, everything = published_results(), published_results(final=False)
    assert len(final) < len(everything)
    assert set(final["table"]) == {"Table 2", "Table 3", "Table 4"}


def test_the_shipped_file_is_the_reference(shared_file):
    reference = pd.read_csv(shared_file("reference/published_results.csv"))
    pd.testing.assert_frame_equal(published_results(final=False)[["mean", "std"]], reference[["mean", "std"]])


def test_difference_in_standard_deviations():
    board = pd.DataFrame(
        {
            "dataset": ["norman19", "norman19", "srivatsan20", "elsewhere"],
            "model": ["linear", "mine", "cpa", "linear"],
            "metric": "cosine_logfc",
            "mean": [0.56, 0.5, 0.392, 0.5],
        }
    )
    joined = with_published(board, {"mine": "linear"})
    assert joined["model"].tolist() == board["model"].tolist()
    np.testing.assert_allclose(joined["published_mean"], [0.6, 0.6, 0.38, np.nan])
    np.testing.assert_allclose(joined["difference_sds"], [-2, -5, 2, np.nan], rtol=1e-9)
    assert joined["published_table"].tolist()[:3] == ["Table 3", "Table 3", "Table 2"]
    with pytest.raises(InputError, match="dataset"):
        with_published(board.drop(columns="dataset"))


def test_other_tasks_have_nothing_published():
    row = {"dataset": "norman19", "model": "cpa", "metric": "cosine_logfc", "mean": 0.4}
    board = pd.DataFrame([{**row, "task": "combine"}, {**row, "task": "unseen"}])
    found = with_published(board).set_index("task")["published_mean"]
    assert found["combine"] > 0
    assert pd.isna(found["unseen"])
