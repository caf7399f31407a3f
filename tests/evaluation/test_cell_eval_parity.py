"""Agreement with cell-eval (0.8.2) on the same files: with its recorded numbers, and with the package where it is.

Tolerance: 1e-6 absolute for values, which it keeps in single precision; choices of genes and ranks agree exactly.
"""

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from cell_eval_cells import make_pair

from perturbench_lamin.conditions import ObsKeys
from perturbench_lamin.evaluation.evaluate import evaluate
from perturbench_lamin.evaluation.profiles import CHALLENGE, Profile
from perturbench_lamin.evaluation.result import WHOLE_STATE

HERE = Path(__file__).parent
TOLERANCE = 1e-6
CALLED = {
    "mae_average": "mae",
    "mse_average": "mse",
    "pearson_delta_control": "pearson_delta",
    "pearson_edistance_cells": "pearson_edistance",
}
SAME = (
    *(f"{kind}_at_{k}" for kind in ("overlap", "precision") for k in ("N", 50, 100, 200, 500)),
    *("de_direction_match", "de_sig_genes_recall", "de_spearman_lfc_sig", "de_spearman_sig", "pr_auc", "roc_auc"),
    *(f"discrimination_score_{distance}" for distance in ("l1", "l2", "cosine")),
)
METRICS = {**CALLED, **{name: name for name in SAME}}
KEYS = ObsKeys(covariates=())
PROFILE = Profile("parity", tuple(METRICS), CHALLENGE)


def compare(table, theirs):
    for ours, name in METRICS.items():
        values = table[table["metric"] == ours].set_index("condition")["value"]
        expected = theirs[name] if WHOLE_STATE not in values.index else theirs[name].iloc[:1].set_axis([WHOLE_STATE])
        np.testing.assert_allclose(values, expected[values.index], atol=TOLERANCE, rtol=0, err_msg=ours)


def test_agrees_with_its_recorded_numbers():
    real, predicted = make_pair()
    table = evaluate(real, {"m": predicted}, KEYS, PROFILE).table
    theirs = pd.read_csv(HERE / "cell_eval_0.8.2.csv", index_col="perturbation")
    assert len(theirs) == 8
    assert theirs["overlap_at_N"].nunique() > 4, "the numbers must be able to tell"
    compare(table, theirs)


def test_profile_vcc_is_part_of_it():
    real, predicted = make_pair()
    result = evaluate(real, {"m": predicted}, KEYS, "vcc")
    theirs = pd.read_csv(HERE / "cell_eval_0.8.2.csv", index_col="perturbation")
    means = result.summary().set_index("metric")["mean"]
    for ours in result.profile.metrics:
        assert means[ours] == pytest.approx(theirs[METRICS[ours]].mean(), abs=TOLERANCE)


@pytest.mark.skipif(find_spec("cell_eval") is None, reason="needs cell-eval")
def test_agrees_with_the_package(tmp_path):
    for name, adata in zip(("real", "predicted"), make_pair(), strict=True):
        adata.write_h5ad(tmp_path / f"{name}.h5ad")
    files = [str(tmp_path / name) for name in ("real.h5ad", "predicted.h5ad", "folder", "results.csv")]
    subprocess.run([sys.executable, str(HERE / "cell_eval_cells.py"), *files], check=True, capture_output=True)
    table = evaluate(files[0], {"m": files[1]}, KEYS, PROFILE).table
    compare(table, pd.read_csv(files[3], index_col="perturbation"))
