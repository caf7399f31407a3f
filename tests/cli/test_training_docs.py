"""The commands of docs/training.md run as they stand there, on tiny data, with fewer trials and on the CPU."""

from __future__ import annotations

import json
import re
import shlex
import sys
from pathlib import Path

import pandas as pd
import pytest
import torch
from click.testing import CliRunner

from perturbench_lamin.cli.main import cli
from perturbench_lamin.models.embedding_file import read_embedding
from perturbench_lamin.splitting.io import write_split
from perturbench_lamin.training.checkpoint import load_model
from perturbench_lamin.training.config import SAME_RESULT
from perturbench_lamin.training.config_file import read_config
from perturbench_lamin.training.search_space import read_space

sys.path.append(str(Path(__file__).resolve().parents[1] / "loading"))
from tiny_curated import Tiny, random_split, write

PAGE = (Path(__file__).resolve().parents[2] / "docs/training.md").read_text(encoding="utf-8")
SMALLER = {"--trials 60": "--trials 2", "--jobs 2": "--jobs 1", "--accelerator gpu": "--accelerator cpu"}
CHAINS = ("run", "experiment")


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


def commands():
    """The page's commands, as words."""
    for block in blocks("sh"):
        for line in block.replace("\\\n", " ").splitlines():
            for large, small in SMALLER.items():
                line = line.replace(large, small)
            program, *words = shlex.split(line)
            assert program == "perturbench-lamin"
            yield words


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A folder with the files that the page names."""
    data = Tiny(noise=0.2).data()
    write(data, tmp_path / "curated.h5ad")
    write(Tiny(noise=0.2, seed=1).data(), tmp_path / "other.h5ad")
    write_split(random_split(data), tmp_path / "split.csv")
    (pairs,), (space,), (config,) = blocks("csv"), blocks("json"), blocks("yaml")
    (tmp_path / "pairs.csv").write_text(pairs)
    (tmp_path / "space.json").write_text(space)
    (tmp_path / "config.yaml").write_text(config)
    monkeypatch.chdir(tmp_path)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield tmp_path
    torch.set_num_threads(threads)


def test_the_commands_on_files_make_what_the_page_says(place):
    words = [words for words in commands() if words[0] not in CHAINS]
    assert [line[0] for line in words] == (
        ["train"] * 3 + ["predict"] * 2 + ["tune"] * 2 + ["train"] + ["pretrain", "train"]
    )
    for line in words:
        result = CliRunner().invoke(cli, line, catch_exceptions=False)
        assert result.exit_code == 0, result.output
    for name in ("best.ckpt", "last.ckpt", "history.csv", "training.json", "result.json"):
        assert (place / "runs/linear" / name).is_file()
    for name in ("trials.csv", "best.json", "study.png", "study.journal", "winner.csv", "winner/seed1"):
        assert (place / "study" / name).exists()
    assert len(list((place / "study").glob("trials/*/best.ckpt"))) == 1
    assert set(pd.read_csv(place / "study-2/winner.csv")["n_seeds"]) == {2}
    assert {path.name for path in (place / "other").iterdir()} == {"genes.npz", "perturbations.npz"}
    assert read_embedding(place / "other/perturbations.npz").about["curated_file"] == "other.h5ad"
    provenance = load_model(place / "runs/pretrained/best.ckpt")[1].provenance
    assert provenance["perturbation_embedding_file"] == "perturbations.npz"
    best = json.loads((place / "study-2/best.json").read_text())
    trained = json.loads((place / "runs/best/training.json").read_text())["config"]
    assert trained == {name: value for name, value in ({**best, "seed": 5}).items() if name not in SAME_RESULT}


def test_the_files_of_the_page_are_read(place):
    assert read_config(place / "config.yaml").hyperparameters["lr"] == 1e-4
    assert set(read_space(place / "space.json", "linear")) == {"lr", "inject_covariates"}


def test_the_chains_of_the_page_name_options_and_names_that_there_are(place):
    from perturbench_lamin.catalog.datasets import DATASETS

    for dataset in DATASETS.values():
        for file in dataset.raw_files:
            path = place / "path/to/raw" / dataset.name / file.name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
    chains = [words for words in commands() if words[0] in CHAINS]
    assert len(chains) == 6
    for words in chains:
        words = [*words, "--dry-run", "--instance", str(place / "here")]
        result = CliRunner().invoke(cli, words, catch_exceptions=False)
        assert result.exit_code == 0, result.output
        assert "train linear" in result.output
        assert "evaluation/leaderboard.ipynb" in result.output
    assert not (place / "here").exists()
