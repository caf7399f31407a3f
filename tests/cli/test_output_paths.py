"""What an output must not be is refused before any work, by every verb that has one, and nothing is written."""

from __future__ import annotations

import os

import anndata as ad
import click
import numpy as np
import pandas as pd
import pytest
from calling import call, invoke

from perturbench_lamin.cli.main import VERBS, cli
from perturbench_lamin.cli.paths import FileOut, FolderOut, OutputPath
from perturbench_lamin.conditions import ObsKeys
from perturbench_lamin.curation.preprocess import preprocess_file
from perturbench_lamin.errors import InputError
from perturbench_lamin.files import atomic_path, write_text
from perturbench_lamin.models import pretraining
from perturbench_lamin.training import run_folder, study, study_results, winner

OUTPUTS = {
    "--out": {"browse", "croissant", "preprocess", "split", "pretrain", "train", "tune", "predict", "evaluate",
              "leaderboard", "compare", "reproduce", "new-dataset"},
    "--report": {"evaluate", "compare"},
    "--figure": {"leaderboard", "lineage"},
    "--keep": {"reproduce"},
    "--work": {"compare"},
    "--instance": {"demo"},
}  # fmt: skip


def command(verb):
    with click.Context(cli) as context:
        return cli.get_command(context, verb)


def outputs():
    return [(verb, param) for verb in VERBS for param in command(verb).params if isinstance(param.type, OutputPath)]


def test_every_output_is_looked_at():
    assert {(param.opts[0], verb) for verb, param in outputs()} == {
        (option, verb) for option, verbs in OUTPUTS.items() for verb in verbs
    }
    for verb in VERBS:
        for param in command(verb).params:
            named = param.opts[0] in ("--out", "--report", "--figure", "--keep")
            assert not named or isinstance(param.type, OutputPath), (verb, param.opts)


@pytest.mark.parametrize(("verb", "param"), outputs(), ids=lambda item: getattr(item, "name", item))
def test_what_cannot_be_written_is_refused(verb, param, tmp_path, monkeypatch):
    suffix = next(iter(getattr(param.type, "suffixes", ())), "")
    file, link, pipe, dangling = (tmp_path / f"{name}{suffix}" for name in ("file", "link", "pipe", "dangling"))
    file.write_text("kept")
    link.symlink_to(file)
    dangling.symlink_to(tmp_path / "nothing")
    os.mkfifo(pipe)
    refused = [pipe, dangling, os.devnull, file / "below", tmp_path / ("x" * 300), tmp_path / ".lamindb" / "a"]
    folders = isinstance(param.type, FolderOut)
    refused += [file] if folders else [tmp_path, link]
    before = sorted(tmp_path.iterdir())
    for path in refused:
        with pytest.raises(click.BadParameter):
            param.type.convert(str(path), param, None)
    assert param.type.convert(str(tmp_path / f"new/deep{suffix}"), param, None) == tmp_path / f"new/deep{suffix}"
    good = tmp_path / "new" if folders else file
    assert param.type.convert(str(good), param, None) == good
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(click.BadParameter, match="no permission"):
        param.type.convert(str(tmp_path / f"new{suffix}"), param, None)
    assert sorted(tmp_path.iterdir()) == before
    assert file.read_text() == "kept"


def test_a_kind_of_file_is_told_before_any_work(tmp_path):
    with pytest.raises(click.BadParameter, match=r"must end in \.csv or \.parquet"):
        FileOut(".csv", ".parquet").convert(str(tmp_path / "a.txt"), None, None)


@pytest.fixture
def counts(tmp_path):
    obs = pd.DataFrame({"condition": np.resize(["control", "A", "B"], 60)}, index=[f"c{i}" for i in range(60)])
    values = np.random.default_rng(0).poisson(2.0, (60, 30)).astype(np.float32)
    ad.AnnData(values, obs, pd.DataFrame(index=[f"G{i}" for i in range(30)])).write_h5ad(tmp_path / "counts.h5ad")
    return tmp_path / "counts.h5ad"


def test_an_output_that_is_an_input_is_refused_under_any_name(counts, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    before = counts.read_bytes()
    hard = tmp_path / "hard.h5ad"
    os.link(counts, hard)
    (tmp_path / "folder").symlink_to(tmp_path)
    names = (counts, "counts.h5ad", "./folder/counts.h5ad", hard)
    for name in names:
        result = invoke("preprocess", counts, "--out", name)
        assert (result.exit_code, "is what IN.h5ad is" in result.output) == (2, True), result.output
    result = invoke("split", counts, "--task", "combine", "--out", hard)
    assert "is what OBS.csv|tsv|h5ad is" in result.output
    for given in (counts, f"mine={counts}"):
        result = invoke("evaluate", "--truth", hard, "--prediction", given, "--out", "a.csv", "--report", counts)
        assert result.exit_code == 2, result.output
    result = invoke("compare", counts, counts, "--out", "same", "--report", "./same")
    assert "is what --out is" in result.output
    result = invoke("compare", counts, "--dataset", "norman19", "--deposited", tmp_path, "--out", "counts.h5ad")
    assert result.exit_code == 2, result.output
    assert counts.read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["counts.h5ad", "folder", "hard.h5ad"]


def test_the_files_of_an_output_folder_are_not_inputs(counts, tmp_path):
    (tmp_path / "runs").mkdir()
    config = tmp_path / "runs/training.json"
    config.write_text('{"model": "linear"}')
    (tmp_path / "split.csv").write_text("")
    words = ("train", counts, "--split", tmp_path / "split.csv", "--config", config)
    result = invoke(*words, "--out", tmp_path / "runs")
    assert (result.exit_code, "is what --config is" in result.output) == (2, True), result.output
    assert config.read_text() == '{"model": "linear"}'


def test_the_names_that_folders_are_filled_with_are_the_packages_own():
    made = {verb: set(param.type.makes) for verb, param in outputs() if getattr(param.type, "makes", ())}
    trained = {run_folder.BEST, run_folder.LAST, run_folder.HISTORY, run_folder.TRAINING, run_folder.RESULT}
    searched = {study.JOURNAL, study_results.TRIALS, study_results.BEST, study_results.PICTURE, winner.BOARD}
    embedded = {pretraining.GENES, pretraining.PERTURBATIONS}
    assert made == {"train": trained, "tune": searched, "pretrain": embedded}


def test_a_function_does_not_write_over_what_it_reads(counts, tmp_path):
    before = counts.read_bytes()
    os.link(counts, tmp_path / "hard.h5ad")
    with pytest.raises(InputError, match="The output is an input"):
        preprocess_file(counts, tmp_path / "hard.h5ad", ObsKeys("condition", (), "control"))
    assert counts.read_bytes() == before


def test_an_existing_file_is_replaced_and_a_good_call_works(counts, tmp_path):
    out = tmp_path / "new/curated.h5ad"
    for _ in range(2):
        call("preprocess", counts, "--hvg", 10, "--degs", 2, "--out", out)
    assert ad.read_h5ad(out).n_obs == 60


def test_an_atomic_write_does_not_replace_what_is_no_file(tmp_path):
    (tmp_path / "target").write_text("kept")
    (tmp_path / "link").symlink_to(tmp_path / "target")
    os.mkfifo(tmp_path / "pipe")
    for name in ("link", "pipe", "."):
        with pytest.raises(InputError, match="Not a regular file"), atomic_path(tmp_path / name):
            pass
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "target").read_text() == "kept"
    longest = "é" * 120 + ".tar.gz"
    assert write_text(tmp_path / longest, "x").read_text() == "x"
