"""The notebook that compares with the deposited file, as a chain runs it."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from comparison_files import permuted, random_cells

from perturbench_lamin.files import sha256

pytestmark = pytest.mark.chain

ROOT = Path(__file__).resolve().parents[2]
RUNNER = Path(__file__).with_name("run_compare.py")
NAME = "norman19_processed.h5ad.gz"


def run(folder, **params):
    environment = {name: value for name, value in os.environ.items() if not name.startswith("LAMIN_")}
    environment["LAMIN_SETTINGS_DIR"] = str(folder / "settings")
    paths = [folder / "curated.h5ad", folder / "combine.csv", folder / "deposited", folder / "instance", ROOT]
    command = [sys.executable, str(RUNNER), *map(str, paths), json.dumps(params)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment, cwd=folder)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.split("TOLD")[1])


@pytest.fixture
def files(tmp_path):
    """A curated file, and a deposit of the same cells but one condition, in another order, without good coverage."""
    cells = random_cells(np.random.default_rng(0), cells=60, genes=20)
    cells.obs["good_coverage"] = np.arange(60) % 7 != 0
    cells.write_h5ad(tmp_path / "curated.h5ad")
    parts = np.resize(["train", "val", "test"], 60)
    (tmp_path / "combine.csv").write_text("".join(f"{c},{p}\n" for c, p in zip(cells.obs_names, parts, strict=True)))
    other = permuted(cells[cells.obs["good_coverage"]].copy(), np.random.default_rng(1))
    other.write_h5ad(tmp_path / "other.h5ad")
    (tmp_path / "deposited").mkdir()
    (tmp_path / "deposited" / NAME).write_bytes(gzip.compress((tmp_path / "other.h5ad").read_bytes(), mtime=0))
    return tmp_path


def test_both_files_are_inputs_and_a_changed_deposit_is_refused_until_it_is_accepted(files):
    told = run(files, accept={NAME: sha256(files / "deposited" / NAME)}, splits=["splits/norman19/combine.csv"])
    assert told["state"] == "done", told["problem"]
    assert told["inputs"] == ["curated/norman19.h5ad", f"deposited/norman19/{NAME}", "splits/norman19/combine.csv"]
    assert told["outputs"] == ["comparisons/norman19/deposited.html", "comparisons/norman19/deposited.json"]
    found = told["found"]
    assert found["verdict"] == told["features"]["verdict"] == "different"
    assert [part["name"] for part in found["parts"] if part["verdict"] == "different"] == ["cells"]
    assert found["parts"][0]["details"]["explanations_a"][0]["text"] == "good_coverage == False"
    assert found["a"]["path"] == "curated/norman19.h5ad"
    assert told["page"].startswith("<!DOCTYPE html>")
    transform, params, features = told["source"]
    assert transform == "perturbench_lamin/deposit"
    assert params["sha256"] == features["sha256"] == sha256(files / "deposited" / NAME)
    assert params["agrees_with"] == "the accepted one"
    assert features["origin_url"] == f"https://huggingface.co/datasets/altoslabs/perturbench/resolve/main/{NAME}"
    state, problem = told["refused"]
    assert state == "failed"
    assert params["sha256"] in problem
    assert "8f880e3d" in problem, "the published checksum is shown, too"
    assert "--accept" in problem
