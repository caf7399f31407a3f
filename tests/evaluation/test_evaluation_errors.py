"""What is refused, and what the message says."""

import re

import numpy as np
import pandas as pd
import pytest
from anndata import AnnData
from evaluation_cells import KEYS, make_cells

from perturbench_lamin.conditions import ObsKeys
from perturbench_lamin.errors import InputError, IntegrityError
from perturbench_lamin.evaluation.evaluate import evaluate


def refused(truth, prediction, match, keys=KEYS, **options):
    with pytest.raises(InputError, match=match) as caught:
        evaluate(truth, {"mine": prediction}, keys, **options)
    return str(caught.value)


def renamed(adata, old, new, column="cell_type"):
    copy = adata.copy()
    copy.obs[column] = copy.obs[column].astype(str).replace(old, new)
    return copy


def test_other_genes():
    truth = make_cells(0)
    message = refused(truth, truth[:, 2:], "2 are missing, 0 are not in the truth")
    assert "g000, g001" in message
    assert "mine" in message
    extra = truth.copy()
    extra.var_names = [*truth.var_names[:-1], "NEW"]
    assert "not in the truth: NEW" in refused(truth, extra, "1 are missing, 1 are not")
    extra.var_names = [*truth.var_names[:-1], f"{truth.var_names[-1]} "]
    assert f"not in the truth: '{truth.var_names[-1]} '" in refused(truth, extra, "1 are missing, 1 are not")


def test_repeated_genes():
    truth = make_cells(0)
    twice = truth.copy()
    twice.var_names = ["g001", *truth.var_names[1:]]
    assert "g001" in refused(truth, twice, "1 gene names occur more than once")
    refused(twice, truth, "1 gene names occur more than once")


def test_missing_conditions_unless_allowed():
    truth = make_cells(0)
    part = truth[~((truth.obs["cell_type"] == "ct0") & (truth.obs["condition"] == "p3"))]
    message = refused(truth, part, "No prediction for 1 of the 10 conditions")
    assert "ct0/p3" in message
    result = evaluate(truth, {"mine": part}, KEYS, allow_missing=True)
    assert len(result.table) == 4 * 9
    assert "1 of 10 conditions have no prediction" in " ".join(map(str, result.notes))
    none = truth[truth.obs["condition"] == "control"]
    refused(truth, none, "No prediction for 10 of the 10", allow_missing=True)


def test_covariate_values_that_do_not_match():
    truth = make_cells(0)
    message = refused(truth, renamed(truth, "ct0", "CT0"), "No prediction for 5 of the 10")
    assert "Column 'cell_type' has values that the truth has not (CT0; the truth: ct0, ct1)" in message


def test_conditions_that_the_truth_has_not_are_noted():
    truth, prediction = make_cells(0), make_cells(1, conditions=7)
    result = evaluate(truth, {"mine": prediction}, KEYS)
    assert len(result.table) == 4 * 10
    note = next(note for note in result.notes if note.kind == "not scored")
    assert note.count == 4
    assert "ct0/p5, ct0/p6, ct1/p5, ct1/p6" in note.message


@pytest.mark.parametrize("which", ["truth", "prediction"])
def test_values_that_are_not_finite(which):
    truth, prediction = make_cells(0), make_cells(1)
    bad = {"truth": truth, "prediction": prediction}[which]
    bad.X.data[:] = np.nan
    refused(truth, prediction, r"NaN and 0 infinite values in \d+ cells")


@pytest.mark.parametrize("which", ["truth", "prediction"])
def test_counts_instead_of_logarithms(which):
    truth, prediction = make_cells(0), make_cells(1)
    raw = {"truth": truth, "prediction": prediction}[which]
    raw.X.data = np.arange(1, raw.X.nnz + 1, dtype=np.float32)
    assert "log1p" in refused(truth, prediction, "integer counts")


def test_normalised_counts_without_a_logarithm():
    truth, prediction = make_cells(0), make_cells(1)
    prediction.X.data *= 30.5
    assert "scale" in {note.kind for note in evaluate(truth, {"mine": prediction}, KEYS).notes}
    truth.X.data *= 30.5
    refused(truth, prediction, "not logarithms")


def test_states_without_true_controls():
    truth = make_cells(0)
    bare = truth[~((truth.obs["cell_type"] == "ct1") & (truth.obs["condition"] == "control"))]
    assert "ct1" in refused(bare, truth, "No control cells in 1 covariate states")
    refused(truth[truth.obs["condition"] == "control"], truth, "only control cells")
    refused(truth[truth.obs["condition"] != "control"], truth, "No cell has the control value")


def test_columns():
    truth = make_cells(0)
    assert "condition" in refused(truth, truth, "No column 'conditoin'", ObsKeys("conditoin"))
    named = truth.copy()
    named.obs["metric"] = "x"
    refused(named, named, "Two columns of the results", ObsKeys(covariates=("metric",)))
    holes = truth.copy()
    holes.obs["condition"] = holes.obs["condition"].astype(object)
    holes.obs.iloc[0, 0] = None
    refused(truth, holes, "has no value in 1 cells")


def test_repeated_cell_names_matter_in_the_truth_alone():
    truth, prediction = make_cells(0), make_cells(1)
    prediction.obs_names = ["same"] * prediction.n_obs
    assert len(evaluate(truth, {"mine": prediction}, KEYS).table) == 40
    refused(prediction, truth, "1 cell names occur more than once")


def test_names():
    truth = make_cells(0)
    assert "perturbench" in refused(truth, truth, "No profile 'perturbenhc'", profile="perturbenhc")
    with pytest.raises(InputError, match="no prediction to evaluate"):
        evaluate(truth, {}, KEYS)
    for name in ("", " mine", "a\nb", 1):
        with pytest.raises(InputError, match=f"{re.escape(repr(name))} is no name of a model"):
            evaluate(truth, {name: truth}, KEYS)


@pytest.mark.parametrize(
    ("truth", "predictions", "message"),
    [
        (None, {"mine": make_cells(0)}, "Not a path but NoneType"),
        (make_cells(0), make_cells(0), "Not a mapping but AnnData"),
        (make_cells(0), [make_cells(0)], "Not a mapping but list"),
    ],
)
def test_what_is_given_in_another_form_is_told(truth, predictions, message):
    with pytest.raises(InputError, match=message):
        evaluate(truth, predictions, KEYS)


def test_infinite_values_of_both_signs_are_counted():
    truth = make_cells(0)
    bad = truth.copy()
    bad.X = bad.X.toarray()
    bad.X[0, :2] = np.inf, -np.inf
    refused(truth, bad, "0 NaN and 2 infinite values in 1 cells")


def test_files(tmp_path):
    truth = make_cells(0)
    truth.write_h5ad(tmp_path / "truth.h5ad")
    (tmp_path / "text.h5ad").write_text("no HDF5")
    good = tmp_path / "truth.h5ad"
    with pytest.raises(InputError, match="No such file"):
        evaluate(good, {"m": tmp_path / "none.h5ad"}, KEYS)
    with pytest.raises(IntegrityError, match="Not an HDF5 file"):
        evaluate(tmp_path / "text.h5ad", {"m": good}, KEYS)
    with pytest.raises(InputError, match=r"Name it \.csv or \.parquet"):
        evaluate(good, {"m": good}, KEYS).write(tmp_path / "metrics.txt")
    assert not (tmp_path / "metrics.txt").exists()


def test_a_file_without_expression(tmp_path):
    AnnData(obs=pd.DataFrame(index=["a"]), var=pd.DataFrame(index=["g"])).write_h5ad(tmp_path / "empty.h5ad")
    with pytest.raises(InputError, match=r"no X|no column|No column"):
        evaluate(tmp_path / "empty.h5ad", {"m": tmp_path / "empty.h5ad"}, KEYS)


def test_a_prediction_without_a_covariate():
    truth, prediction = make_cells(0), make_cells(1)
    del prediction.obs["cell_type"]
    assert "mine" in refused(truth, prediction, "No column 'cell_type'")


def test_one_cell_in_a_group_has_means_but_no_tests_and_is_counted():
    truth = make_cells(0, cells=8)
    lonely = ((truth.obs["cell_type"] == "ct0") & (truth.obs["condition"] == "p0")).to_numpy()
    truth = truth[~lonely | (np.cumsum(lonely) == 1)].copy()
    result = evaluate(truth, {"mine": make_cells(1, cells=8)}, KEYS, "full")
    rows = result.table[(result.table["cell_type"] == "ct0") & (result.table["condition"] == "p0")]
    rows = rows.set_index("metric")["value"]
    assert np.isfinite(rows[["rmse_average", "cosine_logfc", "mmd_pca", "pearson_delta_control"]]).all()
    assert rows[["pearson_scores", "top_k_recall_scores", "overlap_at_N", "cosine_logp"]].isna().all()
    counted = {str(note) for note in result.notes if note.kind == "undefined"}
    assert "mine: pearson_scores is undefined for 1 of 10 conditions and left out of its means." in counted
