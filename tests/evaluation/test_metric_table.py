"""The documentation of the metrics."""

from pathlib import Path

from perturbench_lamin.evaluation.definitions import BUILT_IN
from perturbench_lamin.evaluation.metric_table import constant_score, render
from perturbench_lamin.evaluation.registry import get_metric

DOCUMENT = Path(__file__).parents[2] / "docs" / "metrics.md"


def test_the_committed_document_is_current():
    assert DOCUMENT.read_text(encoding="utf-8") == render(), (
        "Renew it: python -m perturbench_lamin.evaluation.metric_table > docs/metrics.md"
    )


def test_every_metric_has_a_whole_row():
    rows = [line for line in render().splitlines() if line.startswith("| `")]
    assert len(rows) == len(BUILT_IN)
    for row, metric in zip(rows, BUILT_IN, strict=True):
        cells = [cell.strip() for cell in row.replace("\\|", "¦").strip("|").split("|")]
        assert len(cells) == 10
        assert all(cells)
        assert cells[0] == f"`{metric.name}`"


def test_constant_scores_in_words():
    assert constant_score(get_metric("centroid_accuracy")) == "0.5"
    assert constant_score(get_metric("rmse_average")) == "depends on the data"
    assert constant_score(get_metric("discrimination_score_l1")).startswith("½")
