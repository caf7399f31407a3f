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
