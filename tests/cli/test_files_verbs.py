"""The verbs on plain files, as a user calls them."""

from __future__ import annotations

import json
import subprocess
import sys

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from calling import call, invoke, refuse
from scipy import sparse


@pytest.fixture
def counts(tmp_path):
    rng = np.random.default_rng(0)
    obs = pd.DataFrame(
        {
            "gene": np.repeat(["NTC", "G1", "G2", "G1+G2"], 30),
            "line": np.tile(["a", "b"], 60),
        },
        index=[f"c{i}" for i in range(120)],
    )
    genes = [f"G{i}" for i in range(40)]
    adata = ad.AnnData(
        sparse.csr_matrix(rng.poisson(2.0, (120, 40)).astype(np.float32)), obs, pd.DataFrame(index=genes)
    )
    path = tmp_path / "counts.h5ad"
    adata.write_h5ad(path)
    return path


KEYS = ("--perturbation-key", "gene", "--covariate-key", "line", "--control", "NTC")


def test_preprocess_writes_a_curated_file(counts, tmp_path):
    out = tmp_path / "curated.h5ad"
    said = call("preprocess", counts, *KEYS, "--hvg", 10, "--degs", 3, "--out", out)
    curated = ad.read_h5ad(out)
    assert list(curated.var_names) == sorted(curated.var_names)
    assert curated.var["highly_variable"].sum() == 10
    assert np.array_equal(np.expm1(curated.X.toarray()) > 0, curated.layers["counts"].toarray() > 0)
    assert {"G1", "G2"} <= set(curated.var_names)
    assert str(curated.n_vars) in said


@pytest.mark.parametrize("name", ["norman19_real", "synthetic"])
def test_preprocess_keeps_the_reference_genes(name, shared_file, tmp_path):
    params = json.loads(shared_file(f"golden/curation/{name}_params.json").read_text())
    expected = pd.read_csv(shared_file(f"golden/curation/{name}_selected_genes.csv"))
    if name == "synthetic":
        source, keys = shared_file("golden/curation/raw_counts.h5ad"), ("condition", "cell_type")
    else:
        adata = ad.read_h5ad(shared_file("data/raw/norman19/NormanWeissman2019_filtered.h5ad"))
        adata.obs["condition"] = adata.obs["perturbation"].astype(str).str.replace("_", "+")
        source, keys = tmp_path / "norman.h5ad", ("condition", "cell_line")
        adata.write_h5ad(source)
    out = tmp_path / "out.h5ad"
    options = ("--perturbation-key", keys[0], "--covariate-key", keys[1], "--control", params["control"])
    numbers = ("--hvg", params["highly_variable"], "--degs", params["degs"])
    call("preprocess", source, *options, *numbers, "--out", out)
    curated = ad.read_h5ad(out)
    assert list(curated.var_names) == sorted(expected["gene"])
    flags = expected.set_index("gene")["highly_variable"]
    assert curated.var["highly_variable"].to_dict() == flags.to_dict()


SPLIT_OPTIONS = {
    "max_heldout_covariates": "--max-heldout-covariates",
    "min_train_covariates": "--min-train-covariates",
    "max_heldout_fraction_per_covariate": "--max-heldout-fraction",
    "train_control_fraction": "--train-control-fraction",
    "downsample_fraction": "--downsample-fraction",
    "seed": "--seed",
}
SPLIT_TASKS = {
    "split_covariates": "transfer",
    "split_combinations": "combine",
    "split_combinations_inverse": "combine-inverse",
}


def test_split_equals_every_reference_split(shared_file, tmp_path):
    compared = 0
    for entry in json.loads(shared_file("golden/splits/manifest.json").read_text()):
        path = shared_file("golden/splits/manifest.json").parent / f"{entry['data']}__{entry['name']}.csv.gz"
        if not path.exists() or len(entry["covariate_keys"]) != 1:
            continue
        out = tmp_path / "split.csv"
        options = [word for key, value in entry["kwargs"].items() for word in (SPLIT_OPTIONS[key], value)]
        obs = path.parent / f"{entry['data']}_obs.csv.gz"
        task = SPLIT_TASKS[entry["method"]]
        call("split", obs, "--task", task, "--covariate-key", *entry["covariate_keys"], *options,
             "--keep-unpredictable", "--out", out)  # fmt: skip
        ours = pd.read_csv(out, header=None, index_col=0, keep_default_na=False)[1]
        golden = pd.read_csv(path, index_col=0, keep_default_na=False).iloc[:, 0]
        assert ours.index.tolist() == golden.index.tolist()
        assert ours.tolist() == golden.tolist(), entry["name"]
        compared += 1
    assert compared >= 15


def test_split_takes_an_h5ad_too(counts, tmp_path):
    out = tmp_path / "split.csv"
    call("split", counts, "--task", "transfer", *KEYS, "--seed", 1, "--max-heldout-covariates", 1,
         "--max-heldout-fraction", 0.9, "--out", out)  # fmt: skip
    assert len(out.read_text().splitlines()) == 120


@pytest.mark.parametrize("states", [1, 2])
def test_split_names_what_it_leaves_out(counts, tmp_path, states):
    out = tmp_path / "some.csv"
    said = call("split", counts, "--task", "transfer", *KEYS, "--seed", 1, "--max-heldout-covariates", states,
                "--max-heldout-fraction", 0.9, "--keep-unpredictable", "--out", out)  # fmt: skip
    parts = pd.read_csv(out, header=None, index_col=0, keep_default_na=False)[1]
    left_out = ad.read_h5ad(counts).obs[(parts == "").to_numpy()]
    assert (states == 2) == left_out.empty
    assert ("Excluded:" in said) != left_out.empty
    for line, gene in left_out[["line", "gene"]].drop_duplicates().itertuples(index=False):
        assert f"{line} {gene}" in said.split("Excluded:")[1]


def test_evaluate_agrees_with_the_reference(shared_file, tmp_path):
    golden = pd.read_csv(shared_file("golden/evaluation/metrics_v2.csv"))
    out = tmp_path / "metrics.csv"
    call(
        "evaluate", "--truth", shared_file("golden/evaluation/reference.h5ad"),
        "--prediction", shared_file("golden/evaluation/prediction.h5ad"),
        "--perturbation-key", "condition", "--covariate-key", "cell_type", "--control", "control", "--out", out,
    )  # fmt: skip
    table = pd.read_csv(out)
    assert list(table.columns) == ["model", "cell_type", "condition", "metric", "value"]
    assert set(table["model"]) == {"prediction"}
    table["cov_pert"] = table["cell_type"] + "_" + table["condition"]
    for metric in ("rmse_average", "cosine_logfc", "rmse_average_rank", "cosine_logfc_rank"):
        name, aggregation, *rank = metric.split("_")
        wanted = golden[(golden["aggregation"] == aggregation) & (golden["name"] == "_".join([name, *rank]))]
        ours = table[table["metric"] == metric].set_index("cov_pert")["value"]
        assert len(ours) == len(wanted) == 45
        np.testing.assert_allclose(ours[wanted["cov_pert"]], wanted["value"], rtol=1e-6, atol=1e-9)


def test_several_predictions_may_be_named(shared_file, tmp_path):
    truth, prediction = (shared_file(f"golden/evaluation/{name}.h5ad") for name in ("reference", "prediction"))
    out = tmp_path / "metrics.parquet"
    call("evaluate", "--truth", truth, "--prediction", f"first={prediction}", "--prediction", f"second={prediction}",
         "--covariate-key", "cell_type", "--profile", "minimal", "--out", out)  # fmt: skip
    table = pd.read_parquet(out)
    assert set(table["model"]) == {"first", "second"}
    board = call("leaderboard", out, "--figure", tmp_path / "board.png")
    assert (tmp_path / "board.png").read_bytes().startswith(b"\x89PNG")
    assert "first" in board
    assert "rmse_average" in board
    refuse("Two predictions are named 'prediction'", "evaluate", "--truth", truth, "--prediction", prediction,
           "--prediction", prediction, "--out", out)  # fmt: skip


def test_means_are_named_and_the_leaderboard_speaks_markdown(shared_file, tmp_path):
    truth, prediction = (shared_file(f"golden/evaluation/{name}.h5ad") for name in ("reference", "prediction"))
    out = tmp_path / "metrics.csv"
    told = call("evaluate", "--truth", truth, "--prediction", prediction, "--covariate-key", "cell_type", "--profile",
                "vcc", "--baselines", "--device", "cpu", "--out", out)  # fmt: skip
    for words in ("micro mean", "macro mean", "Computed on: cpu", "Virtual Cell Challenge score"):
        assert words in told, words
    board = tmp_path / "board.md"
    shown = call("leaderboard", out, "--metric", "mae_average", "--average", "macro", "--markdown", "--out", board)
    assert shown.startswith("| model | mae_average ↓ |\n| --- | --- |\n")
    assert board.read_text() in shown
    assert shown.count("**") == 2
    if not torch_sees_a_gpu():
        refuse("no CUDA GPU", "evaluate", "--truth", truth, "--prediction", prediction, "--covariate-key", "cell_type",
               "--device", "cuda", "--out", tmp_path / "none.csv")  # fmt: skip
        assert not (tmp_path / "none.csv").exists()


def test_a_table_of_ones_own_stands_beside_the_chains(tmp_path):
    head = "model,condition,metric,value"
    mine, chain = tmp_path / "mine.csv", tmp_path / "chain.csv"
    mine.write_text(f"{head}\nMINE,a,rmse_average,0.1\n")
    chain.write_text(f"{head},dataset,task,seed\nlinear,a,rmse_average,0.2,norman19,combine,1\n")
    shown = invoke("leaderboard", mine, chain, "--out", tmp_path / "board.csv")
    assert "MINE" in shown.stdout
    assert "linear" in shown.stdout
    assert "mine.csv has rows without dataset, task" in shown.stderr
    assert pd.read_csv(tmp_path / "board.csv")["model"].tolist() == ["MINE", "linear"]
    mine.write_text(f'{head}\nMINE,a,rmse_average,"0,1"\n')
    refuse(r"'0,1' is not a number \[.*mine\.csv, line 2\]", "leaderboard", mine)


def torch_sees_a_gpu():
    import torch

    return torch.cuda.is_available()


def test_the_report_is_one_page_with_baselines(shared_file, tmp_path):
    truth, prediction = (shared_file(f"golden/evaluation/{name}.h5ad") for name in ("reference", "prediction"))
    out, page = tmp_path / "metrics.csv", tmp_path / "report.html"
    call("evaluate", "--truth", truth, "--prediction", prediction, "--covariate-key", "cell_type",
         "--out", out, "--report", page)  # fmt: skip
    assert {"prediction", "baseline: control mean"} <= set(pd.read_csv(out)["model"])
    text = page.read_text()
    assert "baseline: control mean" in text
    assert "<script" not in text
    assert 'src="http' not in text


def test_bad_input_is_refused_and_nothing_is_written(counts, tmp_path):
    out = tmp_path / "out.h5ad"
    keys = ("--perturbation-key", "gene", "--covariate-key", "line")
    refuse("Did you mean NTC", "preprocess", counts, *keys, "--control", "NTC1", "--out", out)
    refuse("No column 'guide'", "preprocess", counts, "--perturbation-key", "guide", "--control", "NTC", "--out", out)
    refuse("Did you mean transfer", "split", counts, "--task", "transfr", *KEYS, "--out", out)
    logged = ad.read_h5ad(counts)
    logged.X = np.log1p(logged.X)
    logged.write_h5ad(tmp_path / "logged.h5ad")
    refuse("Not readable as CSV", "leaderboard", counts)
    refuse("log", "preprocess", tmp_path / "logged.h5ad", *KEYS, "--out", out)
    assert not out.exists()
    assert {path.name for path in tmp_path.iterdir()} == {"counts.h5ad", "logged.h5ad"}


def command(*arguments):
    return subprocess.run(
        [sys.executable, "-c", "from perturbench_lamin.cli import main; main()", *map(str, arguments)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip


def test_exit_codes_and_messages_are_for_scripts_and_people(counts, tmp_path):
    wrong = command("preprocess", counts, "--perturbation-key", "gene", "--control", "nothing", "--out", tmp_path / "o")
    assert wrong.returncode == 1
    assert wrong.stderr.startswith("Error: No cell has the control value 'nothing'")
    assert "Traceback" not in wrong.stderr
    usage = command("preproces", counts)
    assert usage.returncode == 2
    assert "Did you mean preprocess" in usage.stderr
    assert command("split", "--help").returncode == 0
    assert "combine" in command("split", "--help").stdout


def test_help_imports_nothing_heavy():
    code = (
        "import sys\nfrom perturbench_lamin.cli.main import cli\n"
        "cli(['--help'], standalone_mode=False)\n"
        "heavy = {'numpy', 'pandas', 'torch', 'lamindb', 'scanpy', 'anndata', 'matplotlib'} & set(sys.modules)\n"
        "sys.exit(', '.join(sorted(heavy)) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "preprocess" in done.stdout
