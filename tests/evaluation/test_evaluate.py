"""The evaluation as a whole: against a plain loop, its invariances, its extremes."""

import hashlib

import numpy as np
import pandas as pd
import pytest
from anndata import AnnData, read_h5ad
from evaluation_cells import KEYS, make_cells, plain_mean, values
from hypothesis import given, settings
from hypothesis import strategies as st

from perturbench_lamin.conditions import ObsKeys
from perturbench_lamin.errors import InputError
from perturbench_lamin.evaluation.cells import Cells
from perturbench_lamin.evaluation.evaluate import evaluate
from perturbench_lamin.evaluation.profiles import PROFILES, Profile
from perturbench_lamin.evaluation.registry import get_metric


def kinds(result):
    return {note.kind: note.count for note in result.notes}


def means_of(adata, row=None):
    """One mean row per perturbed condition; ``row`` in place of all of them."""
    obs = adata.obs[adata.obs["condition"] != "control"].drop_duplicates().sort_values(["cell_type", "condition"])
    rows = [plain_mean(adata, s, c) for s, c in zip(obs["cell_type"], obs["condition"], strict=True)]
    X = np.array(rows) if row is None else np.tile(row, (len(rows), 1))
    return AnnData(
        X, obs=obs.reset_index(drop=True).set_index(pd.Index([f"m{i}" for i in range(len(rows))])), var=adata.var
    )


def plain_scores(truth, prediction, state, conditions):
    """RMSE of means, cosine of log fold changes, and their ranks, by loops."""
    control = plain_mean(truth, state, "control")
    mu = {c: plain_mean(truth, state, c) for c in conditions}
    hat = {c: plain_mean(prediction, state, c) for c in conditions}

    def rmse(a, b):
        return np.sqrt(np.mean((mu[b] - hat[a]) ** 2))

    def cosine(a, b):
        x, y = (np.log2(m + 0.1) - np.log2(control + 0.1) for m in (hat[a], mu[b]))
        return x @ y / np.linalg.norm(x) / np.linalg.norm(y)

    for i in conditions:
        others = [j for j in conditions if j != i]
        yield i, "rmse_average", rmse(i, i)
        yield i, "rmse_average_rank", np.mean([rmse(j, i) <= rmse(i, i) for j in others])
        yield i, "cosine_logfc", cosine(i, i)
        yield i, "cosine_logfc_rank", np.mean([cosine(j, i) >= cosine(i, i) for j in others])


@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_is_the_plain_loop(seed):
    truth, prediction = make_cells(seed), make_cells(seed + 1, cells=3)
    found = evaluate(truth, {"m": prediction}, KEYS).table
    conditions = [f"p{i}" for i in range(5)]
    expected = pd.DataFrame(
        [("m", state, *row) for state in ("ct0", "ct1") for row in plain_scores(truth, prediction, state, conditions)],
        columns=["model", "cell_type", "condition", "metric", "value"],
    )
    pd.testing.assert_frame_equal(found, expected, rtol=1e-10)


@settings(max_examples=6, deadline=None)
@given(seed=st.integers(0, 1000))
def test_orders_of_genes_and_cells_do_not_matter(seed):
    rng = np.random.default_rng(seed)
    truth, prediction = make_cells(seed), make_cells(seed + 1)
    profile = PROFILES["full"]
    first = evaluate(truth, {"m": prediction}, KEYS, profile).table
    genes = evaluate(
        truth[:, rng.permutation(truth.n_vars)], {"m": prediction[:, rng.permutation(truth.n_vars)]}, KEYS
    ).table
    core = first[first["metric"].isin(genes["metric"])].reset_index(drop=True)
    pd.testing.assert_frame_equal(genes, core, check_exact=True)
    cells = evaluate(truth[rng.permutation(truth.n_obs)], {"m": prediction[::-1]}, KEYS, profile).table
    pd.testing.assert_frame_equal(cells, first, rtol=1e-7, atol=1e-9)


@pytest.fixture(scope="module")
def perfect():
    truth = make_cells(5, cells=24, genes=40)
    return evaluate(truth, {"m": truth}, KEYS, "full")


@pytest.mark.parametrize("name", PROFILES["full"].metrics)
def test_a_perfect_prediction_gets_the_best_value(perfect, name):
    found, metric = values(perfect.table, name), get_metric(name)
    assert len(found) == (10 if metric.scope == "condition" else 2)
    if name.startswith("nonadditive"):  # there are no pairs
        assert np.isnan(found).all()
        return
    if metric.best == 0 and name != "mmd_pca":
        assert (found == 0).all(), "exactly, no rounding"
    np.testing.assert_allclose(found, metric.best, atol=1e-12)


@pytest.fixture(scope="module")
def constant():
    truth = make_cells(5)
    rng = np.random.default_rng(0)
    cells = rng.random((4, truth.n_vars))
    states = [("ct0", f"p{i}") for i in range(5)] + [("ct1", f"p{i}") for i in range(5)]
    obs = pd.DataFrame([pair for pair in states for _ in cells], columns=["cell_type", "condition"])
    obs.index = obs.index.map(str)
    return evaluate(truth, {"m": AnnData(np.tile(cells, (10, 1)), obs=obs, var=truth.var)}, KEYS, "full")


@pytest.mark.parametrize("name", [n for n in PROFILES["full"].metrics if get_metric(n).constant_score is not None])
def test_a_constant_prediction_scores_what_the_registry_says(constant, name):
    assert values(constant.table, name).mean() == pytest.approx(get_metric(name).constant_score)
    assert kinds(constant)["collapse"] == 2


@settings(max_examples=5, deadline=None)
@given(seed=st.integers(0, 1000))
def test_values_stay_in_the_range_that_the_registry_says(seed):
    table = evaluate(make_cells(seed), {"m": make_cells(seed + 1)}, KEYS, "full").table
    for name, group in table.groupby("metric"):
        low, high = get_metric(str(name)).range
        assert group["value"].dropna().between(low - 1e-12, high + 1e-12).all(), name


def test_ties_are_worse_in_the_paper_and_half_in_the_code():
    truth = make_cells(0)
    same = means_of(truth, row=np.full(truth.n_vars, 0.3))
    assert (values(evaluate(truth, {"m": same}, KEYS).table, "rmse_average_rank") == 1.0).all()
    code = evaluate(truth, {"m": same}, KEYS, "perturbench-code")
    assert (values(code.table, "rmse_average_rank") == 0.5).all()


def test_a_prediction_of_no_change_is_undefined_in_cosine_and_last_in_rank():
    truth = make_cells(0, states=1)
    control = means_of(truth, row=plain_mean(truth, "ct0", "control"))
    result = evaluate(truth, {"m": control}, KEYS)
    assert np.isnan(values(result.table, "cosine_logfc")).all()
    assert (values(result.table, "cosine_logfc_rank") == 1.0).all()
    assert kinds(result)["undefined"] == 5
    summary = result.summary().set_index("metric")
    assert summary.loc["cosine_logfc", "n_nan"] == 5
    assert np.isnan(summary.loc["cosine_logfc", "mean"])


def test_controls_of_the_prediction_do_not_count():
    truth, prediction = make_cells(0), make_cells(1)
    other = prediction.copy()
    is_control = (other.obs["condition"] == "control").to_numpy()
    other.X = other.X.toarray()
    other.X[is_control] = 7.7
    with_controls = evaluate(truth, {"m": other}, KEYS)
    without = evaluate(truth, {"m": prediction[~is_control]}, KEYS)
    pd.testing.assert_frame_equal(with_controls.table, without.table, check_exact=True)
    assert kinds(with_controls)["controls"] == 12
    assert "controls" not in kinds(without)


def test_mean_rows_score_as_the_cells_they_are_means_of():
    truth, prediction = make_cells(0), make_cells(1)
    cells = evaluate(truth, {"m": prediction}, KEYS)
    rows = evaluate(truth, {"m": means_of(prediction)}, KEYS)
    pd.testing.assert_frame_equal(rows.table, cells.table, rtol=1e-10)


def test_scores_of_single_rows_are_undefined_and_counted():
    truth = make_cells(0)
    result = evaluate(truth, {"m": means_of(truth)}, KEYS, "perturbench-code")
    assert np.isnan(values(result.table, "top_k_recall_scores")).all()
    messages = [str(note) for note in result.notes if note.kind == "undefined"]
    assert any("top_k_recall_scores is undefined for 10 of 10" in message for message in messages)


def test_one_condition_in_a_state_has_scores_but_no_rank():
    truth = make_cells(0, conditions=1)
    result = evaluate(truth, {"m": make_cells(1, conditions=1)}, KEYS)
    assert np.isfinite(values(result.table, "rmse_average")).all()
    assert np.isnan(values(result.table, "rmse_average_rank")).all()
    assert kinds(result)["undefined"] == 2


def test_predicted_means_without_a_logarithm_are_reported():
    truth = make_cells(0)
    prediction = means_of(truth)
    prediction.X[0, :2] = -0.5
    result = evaluate(truth, {"m": prediction}, KEYS)
    assert kinds(result)["logfc"] == 2
    assert np.isfinite(values(result.table, "cosine_logfc")).all()


def test_true_means_without_a_logarithm_are_reported():
    truth = make_cells(0)
    truth.X = truth.X.toarray() - 5
    result = evaluate(truth, {"m": make_cells(1)}, KEYS)
    note = next(note for note in result.notes if note.kind == "logfc")
    assert note.model == ""
    assert "true means are −0.1 or less" in note.message


def test_the_perturbation_mean_may_come_from_training_cells():
    truth, prediction, training = make_cells(0, states=1), make_cells(1, states=1), make_cells(2, states=1)
    own = evaluate(truth, {"m": prediction}, KEYS, "full")
    given_cells = evaluate(truth, {"m": prediction}, KEYS, "full", training=training)
    centre = np.mean([plain_mean(training, "ct0", f"p{i}") for i in range(5)], axis=0)
    expected = [
        np.corrcoef(plain_mean(truth, "ct0", c) - centre, plain_mean(prediction, "ct0", c) - centre)[0, 1]
        for c in (f"p{i}" for i in range(5))
    ]
    found = values(given_cells.table, "pearson_delta_perturbation_mean")
    np.testing.assert_allclose(found, expected, rtol=1e-10)
    assert "reference" in kinds(own)
    assert "reference" not in kinds(given_cells)
    with pytest.raises(InputError, match="No perturbed training cells in 1 covariate states"):
        evaluate(make_cells(0), {"m": make_cells(1)}, KEYS, "full", training=training)


def test_covariates_may_be_several_or_none():
    truth, prediction = make_cells(0, states=1), make_cells(1, states=1)
    none = evaluate(truth, {"m": prediction}, ObsKeys(covariates=()))
    assert list(none.table.columns) == ["model", "condition", "metric", "value"]
    summary = none.summary()
    np.testing.assert_allclose(summary["mean"], summary["macro_mean"])
    for adata in (truth, prediction):
        adata.obs["dose"] = 10
    two = evaluate(truth, {"m": prediction}, ObsKeys(covariates=("cell_type", "dose")))
    assert list(two.table.columns) == ["model", "cell_type", "dose", "condition", "metric", "value"]
    np.testing.assert_array_equal(two.table["value"], none.table["value"])


def test_the_summary_has_micro_and_macro_means():
    truth, prediction = make_cells(0), make_cells(1)
    lonely = truth[~((truth.obs["cell_type"] == "ct1") & truth.obs["condition"].isin(["p1", "p2", "p3", "p4"]))]
    result = evaluate(lonely, {"b": prediction, "a": truth}, KEYS, "minimal")
    summary = result.summary()
    assert list(summary["model"]) == ["a", "a", "b", "b"]
    rmse = result.table[(result.table["model"] == "b") & (result.table["metric"] == "rmse_average")]
    row = summary[(summary["model"] == "b") & (summary["metric"] == "rmse_average")].iloc[0]
    assert row["mean"] == pytest.approx(rmse["value"].mean())
    assert row["macro_mean"] == pytest.approx(rmse.groupby("cell_type")["value"].mean().mean())
    assert row["mean"] != pytest.approx(row["macro_mean"])
    assert (row["n"], row["n_nan"]) == (6, 0)
    assert kinds(result)["not scored"] == 4


def test_a_state_with_controls_alone_is_no_error():
    truth = make_cells(0)
    truth = truth[~((truth.obs["cell_type"] == "ct1") & (truth.obs["condition"] != "control"))]
    result = evaluate(truth, {"m": make_cells(1)}, KEYS)
    assert set(result.table["cell_type"]) == {"ct0"}


def test_files_are_read_and_written(tmp_path):
    truth, prediction = make_cells(0), make_cells(1)
    for name, adata in (("truth", truth), ("model_a", prediction), ("model_b", truth)):
        adata.write_h5ad(tmp_path / f"{name}.h5ad")
    paths = {name: tmp_path / f"{name}.h5ad" for name in ("model_b", "model_a")}
    result = evaluate(tmp_path / "truth.h5ad", paths, KEYS)
    result.write(tmp_path / "out" / "metrics.csv")
    in_memory = evaluate(truth, {"model_a": prediction, "model_b": truth}, KEYS)
    pd.testing.assert_frame_equal(result.table, in_memory.table, check_exact=True)
    read = pd.read_csv(tmp_path / "out" / "metrics.csv", float_precision="round_trip")
    pd.testing.assert_frame_equal(read, result.table, check_exact=True)
    result.write(tmp_path / "metrics.parquet")
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "metrics.parquet"), result.table, check_exact=True)
    again = evaluate(str(tmp_path / "truth.h5ad"), dict(reversed(paths.items())), KEYS)
    again.write(tmp_path / "again.csv")
    assert again.notes == result.notes
    digests = {
        hashlib.sha256(p.read_bytes()).hexdigest() for p in (tmp_path / "again.csv", tmp_path / "out/metrics.csv")
    }
    assert len(digests) == 1


def test_means_leave_the_cells_on_the_disk(tmp_path, monkeypatch):
    """Of truth, training and predictions alike; tests of each gene need all cells."""
    for name in ("truth", "m"):
        make_cells(0).write_h5ad(tmp_path / f"{name}.h5ad")
    asked = []
    whole = Cells.in_memory
    monkeypatch.setattr(Cells, "in_memory", lambda cells: asked.append(cells) or whole(cells))
    paths = {"m": tmp_path / "m.h5ad"}
    for profile in ("perturbench", Profile("pca", ("cosine_pca_average", "mmd_pca", "top_k_recall_scores"))):
        evaluate(tmp_path / "truth.h5ad", paths, KEYS, profile, training=tmp_path / "truth.h5ad")
    assert not asked
    evaluate(tmp_path / "truth.h5ad", paths, KEYS, Profile("tests", ("overlap_at_N",)))
    assert len(asked) == 2


@pytest.mark.parametrize("storage", ["csr", "csc", "dense"])
def test_backed_cells_score_as_those_in_memory(tmp_path, storage):
    truth, prediction = make_cells(0), make_cells(1)
    stored = prediction.X.toarray() if storage == "dense" else prediction.X.asformat(storage)
    AnnData(stored, obs=prediction.obs, var=prediction.var).write_h5ad(tmp_path / "m.h5ad")
    backed = read_h5ad(tmp_path / "m.h5ad", backed="r")
    found = evaluate(truth, {"m": backed}, KEYS, "full").table
    backed.file.close()
    expected = evaluate(truth, {"m": prediction}, KEYS, "full").table
    pd.testing.assert_frame_equal(found, expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("storage", ["csr", "csc", "dense"])
def test_tests_and_gene_space_do_not_depend_on_storage(tmp_path, storage):
    truth, prediction = make_cells(0, cells=12), make_cells(1, cells=9)
    profile = Profile("own", ("overlap_at_N", "pr_auc", "mmd_cells", "mmd_cells_rank", "pearson_edistance_cells"))
    expected = evaluate(truth, {"m": prediction}, KEYS, profile).table
    assert expected["value"].notna().any()
    for name, adata in (("truth", truth), ("m", prediction[:, ::-1])):
        stored = adata.X.toarray() if storage == "dense" else adata.X.asformat(storage)
        AnnData(stored, obs=adata.obs, var=adata.var).write_h5ad(tmp_path / f"{name}.h5ad")
    found = evaluate(tmp_path / "truth.h5ad", {"m": tmp_path / "m.h5ad"}, KEYS, profile).table
    pd.testing.assert_frame_equal(found, expected, rtol=1e-9, atol=1e-12)


def test_negative_means_without_a_fold_change_are_reported():
    truth, prediction = make_cells(0), make_cells(1)
    prediction.X = prediction.X.toarray()
    prediction.X[:, 0] = -1.0
    assert kinds(evaluate(truth, {"m": prediction}, KEYS, "vcc"))["fold change"] == 10
    assert "fold change" not in kinds(evaluate(truth, {"m": prediction}, KEYS))


def test_mean_rows_have_no_tests_and_are_counted():
    truth = make_cells(0, cells=12)
    result = evaluate(truth, {"m": means_of(truth)}, KEYS, "vcc")
    assert np.isnan(values(result.table, "overlap_at_N")).all()
    assert (values(result.table, "mae_average") < 1e-12).all()
    assert kinds(result)["undefined"] == 10


def test_undefined_values_survive_the_file(tmp_path):
    result = evaluate(make_cells(0, conditions=1), {"m": make_cells(1, conditions=1)}, KEYS)
    read = pd.read_csv(result.write(tmp_path / "metrics.csv"), float_precision="round_trip")
    pd.testing.assert_frame_equal(read, result.table)
