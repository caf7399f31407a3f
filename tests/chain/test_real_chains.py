"""The real notebooks, end to end, through the installed command, on a real instance."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest
import tiny

from perturbench_lamin.simulation.config import SimulationConfig
from perturbench_lamin.simulation.norman19 import simulate_norman19

pytestmark = pytest.mark.chain

CHECKOUT = Path(__file__).resolve().parents[2]
COMMAND = [sys.executable, "-c", "from perturbench_lamin.cli import main; main()"]


def start(root, *arguments, ci=False):
    words = [*COMMAND, *map(str, arguments), "--instance", str(root / "instance")]
    variables = tiny.environment(root, ci=ci)
    return subprocess.Popen(
        words, cwd=CHECKOUT, env=variables, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def run(root, *arguments, code=0, ci=False):
    process = start(root, *arguments, ci=ci)
    out, err = process.communicate(timeout=600)
    assert process.returncode == code, out + err
    return out + err


@pytest.fixture(scope="module")
def simulated(tmp_path_factory):
    """A small simulated deposit, run once with two models: the folder, its raw files, what was said."""
    root = tmp_path_factory.mktemp("simulated")
    simulate_norman19(root / "raw", SimulationConfig(n_cells=1500, n_genes=150, n_singles=8, n_pairs=14))
    options = ("run", "norman19", "--raw", root / "raw", "--model", "control_mean", "--model", "linear")
    options = (*options, "--seed", 1, "--seed", 2, "--max-epochs", 5)
    return root, options, run(root, *options)


def test_the_chain_ends_with_a_leaderboard_over_models_and_seeds(simulated):
    root, _, said = simulated
    assert "control_mean" in said
    assert "±" in said
    path = tiny.query(root, "ln.Artifact.get(key='leaderboards/norman19/combine.csv').path.as_posix()")
    board = pd.read_csv(path)
    assert set(board["metric"]) == {"rmse_average", "rmse_average_rank", "cosine_logfc", "cosine_logfc_rank"}
    seeds = board.set_index(["model", "metric"])["n_seeds"]
    assert seeds["linear", "rmse_average"] == 2
    assert seeds["control_mean", "rmse_average"] == 1
    metrics = pd.read_csv(tiny.query(root, "ln.Artifact.get(key='metrics/norman19/combine.csv').path.as_posix()"))
    told = {"dataset", "task", "split", "profile", "seed", "model", "cell_type", "condition", "metric", "value"}
    assert set(metrics.columns) == told


def test_from_the_leaderboard_back_to_the_raw_file_every_step_is_there(simulated):
    root, _, _ = simulated
    text = run(root, "lineage", "leaderboards/norman19/combine.csv", "--figure", root / "lineage.png")
    assert (root / "lineage.png").stat().st_size > 10_000
    places = [
        text.index(name)
        for name in (
            "ingestion/ingestion_norman19.ipynb",
            "curation/curate_norman19.ipynb",
            "training/train.ipynb",
            "evaluation/evaluate.ipynb",
            "evaluation/leaderboard.ipynb",
        )
    ]
    assert places == sorted(places)
    assert text.count("source, environment, report") == 1 + 1 + 3 + 3 + 1
    assert "max_heldout_fraction=0.7, split_seed=42" in text


@pytest.mark.parametrize(
    ("notebook", "pictures"),
    [
        ("curation/curate_norman19", 2),
        ("training/train", 1),
        ("evaluation/evaluate", 1),
        ("evaluation/leaderboard", 1),
    ],
)
def test_the_executed_reports_show_their_pictures(simulated, notebook, pictures):
    root, _, _ = simulated
    page = tiny.query(root, f"ln.Run.filter(transform__key='{notebook}.ipynb').first().report.path.read_text()")
    assert page.count('src="data:image/png;base64') == pictures
    assert "<script src=" not in page, "a report must open without the network"


def test_features_link_metrics_checkpoints_and_runs(simulated):
    root, _, _ = simulated
    best = tiny.query(root, "[a.key for a in ln.Artifact.filter(model='linear', is_best_model=True)]")
    assert len(best) == 2
    assert all(key.endswith("/best.ckpt") for key in best)
    values = tiny.query(root, "ln.Artifact.get(key='metrics/norman19/combine/linear/seed1.csv').features.get_values()")
    assert values["model"] == "linear"
    assert 0 < values["rmse_average"] < 1
    runs = tiny.query(
        root, "[r.features.get_values() for r in ln.Run.filter(transform__key='evaluation/evaluate.ipynb')]"
    )
    assert all("cosine_logfc" in values for values in runs)


def test_again_it_executes_nothing_and_says_so(simulated):
    root, options, _ = simulated
    before = tiny.query(root, "ln.Run.filter().count()")
    again = run(root, *options)
    assert "Nothing to do" in again
    assert "done" not in again
    assert tiny.query(root, "ln.Run.filter().count()") == before


def test_an_experiment_reuses_what_a_run_has_made(simulated):
    root, options, _ = simulated
    experiment = ("experiment", "collapse", "--dataset", *options[1:])
    said = run(root, *experiment)
    steps = dict(re.findall(r"^\[ *\d+/\d+\] (.*?)  +(kept|done)", said, re.MULTILINE))
    assert [name for name, state in steps.items() if state == "done"] == ["collapse norman19"]
    runs = pd.read_csv(tiny.query(root, "ln.Artifact.get(key='experiments/norman19/collapse.csv').path.as_posix()"))
    assert sorted(zip(runs["model"], runs["seed"], strict=True)) == sorted(
        [("control_mean", 1), ("linear", 1), ("linear", 2)] * 2
    )
    assert "Nothing to do" in run(root, *experiment)


def test_another_split_seed_keeps_the_raw_file_and_makes_new_versions(simulated):
    root, options, _ = simulated
    changed = run(
        root, *options[:4], "--model", "control_mean", "--seed", 1, "--max-epochs", 5, "--set", "split_seed=7"
    )
    steps = [line for line in changed.splitlines() if re.match(r"\[ *\d+/\d+\] ", line)]  # not a kernel's own words
    lines = {line.split("] ")[1].split("  ")[0]: line for line in steps}
    assert len(lines) == 5
    assert "kept" in lines["ingest norman19"]
    rest = [line for name, line in lines.items() if name != "ingest norman19"]
    assert all("done" in line for line in rest), rest
    count = "ln.Artifact.filter(key='{}').count()"
    assert tiny.query(root, count.format("splits/norman19/combine.csv")) == 2
    assert tiny.query(root, count.format("curated/norman19.h5ad")) == 1, "the same content is the same version"


def test_a_training_that_was_killed_goes_on_from_its_last_epoch(simulated):
    root, options, _ = simulated
    more = (*options[:4], "--model", "latent_additive", "--seed", 3, "--max-epochs", 40)
    last = root / "instance" / "work" / "norman19" / "train-latent_additive-seed-3" / "fit" / "last.ckpt"
    process = start(root, *more)
    deadline = time.monotonic() + 240
    while not last.exists():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    run(root, *more)
    pages = tiny.query(
        root,
        "[[r.status, r.report.path.read_text() if r.report else ''] for r in "
        "ln.Run.filter(transform__key='training/train.ipynb', params__model='latent_additive').order_by('id')]",
    )
    assert [status for status, _ in pages] == ["aborted", "completed"]
    assert "of them before an interruption" in pages[1][1]


def test_the_notebooks_run_with_plain_papermill(simulated, tmp_path):
    root, _, _ = simulated
    slug = (root / "instance" / ".lamin" / "current_instance").read_text().strip()
    executed = tmp_path / "executed.ipynb"
    papermill = [sys.executable, "-m", "papermill", "--no-progress-bar"]
    done = subprocess.run(
        [*papermill, "ingestion/ingestion_norman19.ipynb", str(executed),
         "-p", "raw_folder", str(root / "raw"), "-p", "simulated", "True"],
        cwd=CHECKOUT, env={**tiny.environment(root, ci=False), "LAMIN_CURRENT_INSTANCE": slug},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    book = json.loads(executed.read_text())
    shown = "".join(str(output) for cell in book["cells"] for output in cell.get("outputs", []))
    assert "raw/norman19/NormanWeissman2019_filtered.h5ad" in shown
    runs = tiny.query(
        root, "[r.status for r in ln.Run.filter(transform__key='ingestion/ingestion_norman19.ipynb').order_by('id')]"
    )
    assert runs[-1] == "completed"


NBCLIENT = """
import sys, nbformat
from nbclient import NotebookClient
book = nbformat.read(sys.argv[1], as_version=4)
NotebookClient(book, kernel_name="python3", resources={"metadata": {"path": sys.argv[2]}}).execute()
"""


@pytest.mark.parametrize("program", ["nbconvert", "execute", "nbclient"])
def test_a_notebook_runs_where_no_editor_runs_it(simulated, tmp_path, program):
    root, _, _ = simulated
    slug = (root / "instance" / ".lamin" / "current_instance").read_text().strip()
    book = json.loads((CHECKOUT / "ingestion/ingestion_norman19.ipynb").read_text())
    (parameters,) = [cell for cell in book["cells"] if "parameters" in cell["metadata"].get("tags", [])]
    parameters["source"] = f'simulated = True\nraw_folder = "{root / "raw"}"\ndownload_folder = "{tmp_path / program}"'
    source = tmp_path / f"by_{program}.ipynb"
    source.write_text(json.dumps(book))
    jupyter = [sys.executable, "-m", "jupyter"]
    command = {
        "nbconvert": [*jupyter, "nbconvert", "--execute", "--to", "notebook", "--output", "executed", str(source)],
        "execute": [*jupyter, "execute", str(source)],
        "nbclient": [sys.executable, "-c", NBCLIENT, str(source), str(tmp_path)],
    }[program]
    done = subprocess.run(
        command, cwd=CHECKOUT, env={**tiny.environment(root, ci=False), "LAMIN_CURRENT_INSTANCE": slug},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    recorded = "ln.Run.filter(transform__key='ingestion/ingestion_norman19.ipynb').order_by('id')"
    assert tiny.query(root, f"[r.status for r in {recorded}]")[-1] == "completed"
    assert tiny.query(root, f"{recorded}.last().transform.source_code").count(str(root / "raw")) == 1


@pytest.mark.parametrize(("dataset", "task"), [("norman19", "combine"), ("mcfaline24", "transfer")])
def test_real_cells(dataset, task, shared_file, tmp_path):
    raw, genes = shared_file("data/raw"), shared_file("data/metadata/genes_homo_sapiens.csv.gz")
    options = ("--raw", raw, "--genes", genes, "--model", "additive", "--seed", 1)
    said = run(tmp_path, "run", dataset, *options, ci=True)
    assert f"leaderboards/{dataset}/{task}.csv" in said
    board = pd.read_csv(
        tiny.query(tmp_path, f"ln.Artifact.get(key='leaderboards/{dataset}/{task}.csv').path.as_posix()")
    )
    assert board["mean"].notna().all()
    by_genes = f"ln.Artifact.get(key='curated/{dataset}.h5ad').run.input_artifacts.filter(key__startswith='genes/')"
    assert tiny.query(tmp_path, f"{by_genes}.count()") == 1
    assert tiny.query(tmp_path, f"ln.Artifact.get(key='curated/{dataset}.h5ad').schema is not None")
    made = "(lambda r: [sorted(r.params), [[a.key, a.uid] for a in r.input_artifacts.all()], r.params['gene_file']])"
    told, inputs, gene_file = tiny.query(tmp_path, f"{made}(ln.Artifact.get(key='genes/homo_sapiens.csv.gz').run)")
    assert told == ["gene_file"], "a table from a file is of no release"
    assert inputs == [["genes/source/genes_homo_sapiens.csv.gz", gene_file]]


def test_a_truncated_raw_file_stops_the_chain_with_its_reason(tmp_path):
    whole = simulate_norman19(tmp_path / "raw", SimulationConfig(n_cells=200, n_genes=60, n_singles=4, n_pairs=4))
    whole.write_bytes(whole.read_bytes()[:-5000])
    said = run(tmp_path, "run", "norman19", "--raw", tmp_path / "raw", "--model", "additive", code=1)
    assert "truncated" in said or "not an h5ad" in said.lower()
    assert "curate norman19" in said
    assert "skipped" in said
    assert "Traceback" not in said
