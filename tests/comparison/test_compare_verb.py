"""The verb compare, as a user calls it."""

from __future__ import annotations

import gzip
import hashlib
import json
import subprocess
import sys

import numpy as np
import pytest
from click.testing import CliRunner
from comparison_files import permuted, random_cells

from perturbench_lamin.cli.main import cli

NAME = "srivatsan20_highest_dose_processed.h5ad.gz"


def call(*arguments, code=0):
    result = CliRunner().invoke(cli, ["compare", *map(str, arguments)])
    assert result.exit_code == code, result.output
    return result.output


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A file, the same in another order, and one of fewer cells."""
    folder, rng = tmp_path_factory.mktemp("verb"), np.random.default_rng(0)
    cells = random_cells(rng, cells=30)
    cells.write_h5ad(folder / "a.h5ad")
    permuted(cells, rng).write_h5ad(folder / "same.h5ad")
    permuted(cells[cells.obs["good"]], rng).write_h5ad(folder / "fewer.h5ad")
    (folder / NAME).write_bytes(gzip.compress((folder / "same.h5ad").read_bytes(), mtime=0))
    return folder


def test_the_same_content_ends_with_0_and_other_content_with_3(files, tmp_path):
    said = call(files / "a.h5ad", files / "same.h5ad", "--out", tmp_path / "out.json", "--report", tmp_path / "r.html")
    assert "Verdict: equivalent (cell order; gene order)" in said
    assert json.loads((tmp_path / "out.json").read_text())["verdict"] == "equivalent"
    assert (tmp_path / "r.html").read_text().startswith("<!DOCTYPE html>")
    said = call(files / "a.h5ad", files / "fewer.h5ad", code=3)
    assert "Verdict: different (cells)" in said
    assert "all of them, and no other, have good == False" in said
    assert "Verdict: identical" in call(files / "a.h5ad", files / "a.h5ad")


def test_files_of_which_not_all_could_be_compared_end_with_4(files, tmp_path):
    cells = random_cells(np.random.default_rng(0))
    cells.obsm["names"] = np.array([[f"n{k}"] for k in range(cells.n_obs)], dtype=object)
    cells.write_h5ad(tmp_path / "a.h5ad")
    permuted(cells, np.random.default_rng(1)).write_h5ad(tmp_path / "b.h5ad")
    said = call(tmp_path / "a.h5ad", tmp_path / "b.h5ad", "--out", tmp_path / "out.json", code=4)
    assert "Verdict: the same in what was compared (not compared: obsm/names" in said
    assert json.loads((tmp_path / "out.json").read_text())["uncompared"][0].startswith("obsm/names")
    assert "Verdict: equivalent" in call(tmp_path / "a.h5ad", tmp_path / "b.h5ad", "--ignore", "obsm")


def test_cells_that_one_lacks_are_counted_by_condition_and_covariate(files):
    cells = random_cells(np.random.default_rng(0), cells=30)
    dropped = cells.obs.loc[~cells.obs["good"], "condition"].value_counts()
    said = call(files / "a.h5ad", files / "fewer.h5ad", code=3)
    (line,) = (line for line in said.splitlines() if "30 cells only in A" in line)
    assert f"{dropped.sum()} of 30 cells only in A, by condition: " in line
    assert all(f"{condition} {count}" in line for condition, count in dropped[dropped > 0].items())
    assert "; by cell_type: " in line


def test_a_packed_file_is_unpacked(files):
    assert "Verdict: equivalent" in call(files / "a.h5ad", files / NAME)


def test_the_deposited_file_of_a_dataset(files, tmp_path):
    options = ("--dataset", "sciplex3", "--deposited", files, "--work", tmp_path)
    result = CliRunner().invoke(cli, ["compare", str(files / "a.h5ad"), *map(str, options)])
    assert "ddd46251" in str(result.exception)
    digest = hashlib.sha256((files / NAME).read_bytes()).hexdigest()
    said = call(files / "a.h5ad", *options, "--accept", f"{NAME}={digest}")
    assert "agrees with the accepted one" in said
    assert "Verdict: equivalent" in said


def test_the_deposited_file_from_the_hub(files, hub, tmp_path):
    content = (files / NAME).read_bytes()
    hub.files[hub.commit] = {NAME: content}
    accept = f"{NAME}={hashlib.sha256(content).hexdigest()}"
    said = call(files / "a.h5ad", "--dataset", "srivatsan20", "--download", "--work", tmp_path, "--accept", accept)
    assert hub.commit in said
    assert "Verdict: equivalent" in said


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ((), "Give B, or --dataset"),
        (("--dataset", "norman19"), "--deposited FOLDER"),
        (("--dataset", "norman19", "--download", "--deposited", "."), "--deposited FOLDER"),
        (("b", "--dataset", "norman19"), "not both"),
        (("--dataset", "norman19", "--deposited", ".", "--accept", "x"), "FILE=SHA256"),
    ],
)
def test_wrong_use_is_told(files, options, match):
    words = [str(files / "same.h5ad") if word == "b" else word for word in options]
    assert match in call(files / "a.h5ad", *words, code=2)


def test_the_installed_command_ends_with_the_code(files):
    main = [sys.executable, "-c", "from perturbench_lamin.cli import main; main()", "compare"]
    done = subprocess.run([*main, files / "a.h5ad", files / "fewer.h5ad"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (3, "")
    (files / "text.h5ad").write_text("text")
    done = subprocess.run([*main, files / "a.h5ad", files / "text.h5ad"], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("Error: Not an HDF5 file")
