"""The challenge's score."""

import pandas as pd
import pytest
from evaluation_cells import KEYS, make_cells

from perturbench_lamin.errors import InputError
from perturbench_lamin.evaluation.challenge import MEAN_BASELINE, challenge_score
from perturbench_lamin.evaluation.evaluate import evaluate

NAMES = ("overlap_at_N", "discrimination_score_l1", "mae_average")


def summary(**models):
    rows = [
        (m.replace("_", " "), name, v) for m, values in models.items() for name, v in zip(NAMES, values, strict=True)
    ]
    return pd.DataFrame(rows, columns=["model", "metric", "mean"])


def test_closed_form():
    scores = challenge_score(
        summary(base=(0.2, 0.5, 0.1), good=(0.6, 0.75, 0.05), bad=(0.1, 0.4, 0.2), best=(1, 1, 0)), "base"
    ).set_index("model")
    assert scores.loc["good", list(NAMES)].tolist() == pytest.approx([0.5, 0.5, 0.5])
    assert scores["score"].to_dict() == pytest.approx({"good": 0.5, "bad": 0.0, "best": 1.0})


def test_undefined_counts_as_zero():
    scores = challenge_score(summary(base=(0.2, 0.5, 0.1), half=(float("nan"), 1, 0)), "base")
    assert scores["score"].tolist() == pytest.approx([2 / 3])


def test_of_an_evaluation():
    truth = make_cells(0, cells=20)
    scores = challenge_score(evaluate(truth, {"perfect": truth}, KEYS, "vcc", baselines=True).summary())
    assert scores.set_index("model").loc["perfect", "score"] > 0.9
    assert MEAN_BASELINE not in set(scores["model"])


def test_what_is_missing_is_named():
    truth = make_cells(0)
    with pytest.raises(InputError, match="baselines=True"):
        challenge_score(evaluate(truth, {"m": truth}, KEYS, "vcc").summary())
    with pytest.raises(InputError, match="overlap_at_N"):
        challenge_score(evaluate(truth, {"m": truth}, KEYS, "minimal").summary())
