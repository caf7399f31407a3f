"""Embeddings of one dataset, and what they are worth on another."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from test_linear_embedding import TwoPrograms, measured
from tiny_curated import Tiny, write

from perturbench_lamin.curation.source_h5ad import H5adSource
from perturbench_lamin.errors import InputError
from perturbench_lamin.models.embedding_file import read_embedding
from perturbench_lamin.models.pretraining import pretrain, pretrained_embeddings, write_pretrained
from perturbench_lamin.training.config import TrainConfig
from perturbench_lamin.training.fit import fit
from perturbench_lamin.training.predict import PredictConfig, predict
from perturbench_lamin.training.predict_conditions import predict_conditions

SHARED = TwoPrograms(noise=0.05)
OTHER = replace(SHARED, seed=9, cell_types=("HepG2",)).data()
UNSEEN = ("G3", "G7", "G9")
MEAN = PredictConfig("mean", accelerator="cpu")


@pytest.fixture(scope="module")
def other_path(tmp_path_factory):
    return write(OTHER, tmp_path_factory.mktemp("data") / "other.h5ad")


def assert_same(ours, theirs):
    for one, other in zip(ours, theirs, strict=True):
        assert one.names == other.names
        np.testing.assert_allclose(one.values, other.values, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("of_training", [False, True])
def test_a_file_read_by_chunks_gives_what_its_cells_in_memory_give(other_path, monkeypatch, of_training):
    monkeypatch.setattr(H5adSource, "default_rows", lambda self: 7)
    cells = np.arange(len(OTHER.obs)) % 3 > 0 if of_training else np.ones(len(OTHER.obs), dtype=bool)
    split = pd.Series(np.where(cells, "train", "test"), index=OTHER.obs.index) if of_training else None
    chosen = replace(OTHER, X=OTHER.X[cells], obs=OTHER.obs[cells])
    assert_same(pretrain(other_path, split, components=3), pretrained_embeddings(chosen, components=3))


def test_files_say_what_they_were_made_of_and_are_the_same_each_time(tmp_path):
    embeddings = pretrained_embeddings(OTHER, components=2)
    one, other = (write_pretrained(tmp_path / name, embeddings, {"dataset": "tiny"}) for name in ("a", "b"))
    assert [path.name for path in one] == ["genes.npz", "perturbations.npz"]
    assert [path.read_bytes() for path in one] == [path.read_bytes() for path in other]
    assert read_embedding(one[0]).about == {"dataset": "tiny"}
    assert_same([read_embedding(path) for path in one], embeddings)


def test_what_it_takes(tmp_path):
    with pytest.raises(InputError, match="components is 0"):
        pretrained_embeddings(OTHER, components=0)
    lonely = Tiny(n_tokens=1, n_pairs=0).data()
    with pytest.raises(InputError, match="1 single perturbations with controls"):
        pretrain(write(lonely, tmp_path / "lonely.h5ad"))


@pytest.fixture(scope="module")
def target(tmp_path_factory):
    """A dataset of other cells with the same effects, and a split whose training lacks three perturbations."""
    data = measured(SHARED)
    tokens = data.obs["condition"].astype(str).str.split("+")
    unseen = tokens.map(lambda names: bool(set(names) & set(UNSEEN))).to_numpy()
    place = np.arange(len(data.obs)) % 4
    parts = np.where(unseen, "test", np.array(["val", "train", "train", "train"])[place])
    control = (data.obs["condition"] == "control").to_numpy()
    parts[control] = np.array(["val", "train", "train", "test"])[place[control]]
    split = pd.Series(parts, index=data.obs.index, dtype=object)
    return write(data, tmp_path_factory.mktemp("data") / "target.h5ad"), split


def trained(target, tmp_path, values):
    path, split = target
    config = TrainConfig("linear_embedding", values, accelerator="cpu")
    return fit(path, split, config, tmp_path / "run").best_checkpoint


def error(predicted):
    """Root mean square error of the predicted change, relative to the change's size, over unseen singles."""
    means, effects = SHARED.truth()
    wrong, size = [], []
    for condition, cell_type, row in zip(
        predicted.obs["condition"], predicted.obs["cell_type"], predicted.X, strict=True
    ):
        if condition in UNSEEN:
            wrong.append(row - means[cell_type, "none"] - effects[condition])
            size.append(effects[condition] - np.mean(list(effects.values()), axis=0))
    assert len(wrong) == 2 * len(UNSEEN)
    return np.sqrt(np.mean(np.square(wrong)) / np.mean(np.square(size)))


def test_pretraining_helps_where_the_target_never_saw_the_perturbation(other_path, target, tmp_path):
    _, perturbations = write_pretrained(tmp_path, pretrain(other_path, components=2), {})
    with_rows = trained(target, tmp_path / "with", {"perturbation_embedding": str(perturbations), "ridge": 1e-3})
    without = trained(target, tmp_path / "without", {"ridge": 1e-3})
    path, split = target
    helped, plain = (error(predict(best, path, split, config=MEAN)) for best in (with_rows, without))
    assert helped < 0.4
    assert helped < 0.5 * plain
    pairs = tmp_path / "pairs.csv"
    pairs.write_text("condition,cell_type,treatment\nG3+G7,RPE1,none\n")
    assert predict_conditions(with_rows, path, pairs, config=MEAN).n_obs == 1, "in new combinations, too"


def test_a_perturbation_without_a_row_stays_unknown(other_path, target, tmp_path):
    _, perturbations = pretrain(other_path, components=2)
    rows = [place for place, name in enumerate(perturbations.names) if name not in ("G1", "G7")]
    fewer = replace(perturbations, names=tuple(perturbations.names[i] for i in rows), values=perturbations.values[rows])
    _, path = write_pretrained(tmp_path, (fewer, fewer), {})
    best = trained(target, tmp_path, {"perturbation_embedding": str(path), "allow_missing": True})
    with pytest.raises(InputError, match="perturbations that training lacks: G7"):
        predict(best, *target, config=MEAN)


@pytest.mark.parametrize("model", ["additive", "linear"])
def test_other_models_know_the_perturbations_of_their_training_alone(target, tmp_path, model):
    path, split = target
    best = fit(path, split, TrainConfig(model, max_epochs=1, accelerator="cpu"), tmp_path / "run").best_checkpoint
    with pytest.raises(InputError, match="perturbations that training lacks: G3, G7, G9"):
        predict(best, path, split, config=MEAN)
