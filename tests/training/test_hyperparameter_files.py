"""A file that a hyperparameter names is part of what is trained: by its content."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution
from tiny_curated import Tiny, random_split, write

from perturbench_lamin.errors import InputError
from perturbench_lamin.files import sha256
from perturbench_lamin.models.embedding_file import Embedding, write_embedding
from perturbench_lamin.training.checkpoint import load_model
from perturbench_lamin.training.config import TrainConfig
from perturbench_lamin.training.fit import fit
from perturbench_lamin.training.tune_config import Search, TuneConfig

TINY = Tiny()
DATA = TINY.data()
SPLIT = random_split(DATA)


@pytest.fixture(scope="module")
def curated_path(tmp_path_factory):
    return write(DATA, tmp_path_factory.mktemp("data") / "tiny.h5ad")


def embed(path, seed=0):
    """Random coordinates of the perturbations and of the genes."""
    names = (*TINY.tokens(), *DATA.genes)
    return write_embedding(path, Embedding(names, np.random.default_rng(seed).normal(size=(len(names), 2))))


@pytest.fixture
def config(tmp_path):
    values = {"perturbation_embedding": str(embed(tmp_path / "p.npz"))}
    return TrainConfig("linear_embedding", values, accelerator="cpu")


def test_the_checkpoint_says_which_file_it_was(curated_path, config, tmp_path):
    result = fit(curated_path, SPLIT, config, tmp_path / "run", provenance={"curated": "abc"})
    told = load_model(result.best_checkpoint)[1].provenance
    digest = sha256(tmp_path / "p.npz")
    assert told == {
        "curated": "abc",
        "perturbation_embedding_file": "p.npz",
        "perturbation_embedding_sha256": digest,
    }
    identity = json.loads((tmp_path / "run/training.json").read_text())
    assert identity["files"] == {"perturbation_embedding": digest}
    without = fit(curated_path, SPLIT, TrainConfig("control_mean", accelerator="cpu"), tmp_path / "other")
    assert "files" not in json.loads((tmp_path / "other/training.json").read_text())
    assert load_model(without.best_checkpoint)[1].provenance == {}


def test_changed_content_is_refused_and_nothing_is_removed(curated_path, config, tmp_path):
    best = fit(curated_path, SPLIT, config, tmp_path / "run").best_checkpoint
    before = best.read_bytes()
    embed(tmp_path / "p.npz", seed=1)
    with pytest.raises(InputError, match=r"content of a file has changed: files\.perturbation_embedding"):
        fit(curated_path, SPLIT, config, tmp_path / "run")
    with pytest.raises(InputError, match=r"another one: files\.perturbation_embedding differ"):
        fit(curated_path, SPLIT, config, tmp_path / "run", resume=True)
    assert best.read_bytes() == before
    embed(tmp_path / "p.npz")
    fit(curated_path, SPLIT, config, tmp_path / "run")
    assert best.read_bytes() == before, "the same content again: nothing is to be done"
    embed(tmp_path / "p.npz", seed=1)
    fit(curated_path, SPLIT, config, tmp_path / "run", resume=False)
    assert best.read_bytes() != before


def test_other_settings_start_anew_whatever_the_file(curated_path, config, tmp_path):
    fit(curated_path, SPLIT, config, tmp_path / "run")
    embed(tmp_path / "p.npz", seed=1)
    other = replace(config, hyperparameters={**config.hyperparameters, "ridge": 2.0})
    best = fit(curated_path, SPLIT, other, tmp_path / "run").best_checkpoint
    assert load_model(best)[1].hyperparameters["ridge"] == 2.0


def test_a_file_that_is_not_there(curated_path, config, tmp_path):
    (tmp_path / "p.npz").unlink()
    with pytest.raises(InputError, match="No such file for perturbation_embedding"):
        fit(curated_path, SPLIT, config, tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("searched", [False, True])
def test_a_study_is_of_the_files_content(curated_path, config, tmp_path, searched):
    space = {"ridge": FloatDistribution(0.01, 1.0)}
    if searched:
        files = tuple(str(embed(tmp_path / f"{number}.npz", number)) for number in (1, 2))
        space["gene_embedding"] = CategoricalDistribution(files)
    task = Search(curated_path, SPLIT, TuneConfig(config, space, trials=1), tmp_path / "study")
    task.open()
    task.open()
    embed(tmp_path / ("2.npz" if searched else "p.npz"), seed=3)
    with pytest.raises(InputError, match="another search: files differ"):
        task.open()
