from __future__ import annotations

import os
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_curated import Tiny, random_split

from perturbench_lamin.conditions import covariate_states
from perturbench_lamin.errors import InputError
from perturbench_lamin.loading.batches import BatchLoader, ControlMatched, Disentanglement, sampling
from perturbench_lamin.loading.curated import split_labels
from perturbench_lamin.loading.datamodule import PerturbationData
from perturbench_lamin.loading.dataset import SplitData
from perturbench_lamin.loading.vocabulary import Vocabulary

TINY = Tiny(treatments=("none", "drug"))
DATA = TINY.data()
SPLIT = random_split(DATA)


def split_data(name: str = "train", split=SPLIT) -> SplitData:
    labels = split_labels(split, DATA)
    vocabulary = Vocabulary.from_cells(DATA.obs[labels == "train"], DATA.genes, DATA.info)
    return SplitData.build(DATA, labels, name, vocabulary)


def rows_of(cells: torch.Tensor) -> list[int]:
    """Which cells of the file these expression profiles are (all profiles of the tiny data differ)."""
    index = {row.tobytes(): place for place, row in enumerate(DATA.X.toarray())}
    return [index[row.tobytes()] for row in cells.numpy()]


def loader(kind, *, batch_size=7, seed=3, shuffle=True, name="train") -> BatchLoader:
    return BatchLoader(kind(split_data(name)), batch_size=batch_size, seed=seed, shuffle=shuffle)


@pytest.mark.parametrize("kind", [ControlMatched, Disentanglement])
@pytest.mark.parametrize("name", ["train", "val", "test"])
def test_an_epoch_has_every_target_of_the_split_once(kind, name):
    batches = list(loader(kind, name=name))
    seen = [row for batch in batches for row in rows_of(batch.expression)]
    wanted = SPLIT.eq(name).to_numpy()
    if kind is ControlMatched:
        wanted &= (DATA.obs["condition"] != "control").to_numpy()
    assert sorted(seen) == np.flatnonzero(wanted).tolist()
    assert {len(batch) for batch in batches[:-1]} == {7}


def test_controls_are_controls_of_the_same_split_and_state():
    states = covariate_states(DATA.obs, DATA.info.keys.covariates)
    for batch in loader(ControlMatched):
        targets, controls = rows_of(batch.expression), rows_of(batch.controls)
        assert (DATA.obs["condition"].iloc[controls] == "control").all()
        assert (SPLIT.iloc[controls] == "train").all()
        assert states.iloc[targets].tolist() == states.iloc[controls].tolist()


def test_codes_agree_with_the_cells_table():
    vocabulary = Vocabulary.from_cells(DATA.obs[(SPLIT == "train").to_numpy()], DATA.genes, DATA.info)
    for batch in loader(Disentanglement):
        for place, row in enumerate(rows_of(batch.expression)):
            condition = DATA.obs["condition"].iloc[row]
            tokens = set() if condition == "control" else set(condition.split("+"))
            multi_hot = batch.perturbations[place].numpy()
            assert {vocabulary.perturbations[i] for i in np.flatnonzero(multi_hot)} == tokens
            assert list(vocabulary.conditions)[batch.condition_ids[place]] == condition
            state = tuple(DATA.obs[["cell_type", "treatment"]].astype(str).iloc[row])
            assert vocabulary.states[batch.state_ids[place]] == state
            assert batch.covariates[place].sum() == 2
        assert batch.controls is batch.expression


def same(left, right) -> bool:
    return torch.equal(left.expression, right.expression) and torch.equal(left.controls, right.controls)


def test_batches_depend_on_seed_epoch_and_number_alone():
    first, again = loader(ControlMatched), loader(ControlMatched)
    again.set_epoch(4)
    list(again)
    again.set_epoch(0)
    assert all(same(*pair) for pair in zip(first, again, strict=True))
    again.set_epoch(1)
    assert not any(same(*pair) for pair in zip(first, again, strict=True))
    assert not any(same(*pair) for pair in zip(first, loader(ControlMatched, seed=4), strict=True))


def test_validation_is_the_same_in_every_epoch():
    val = loader(ControlMatched, shuffle=False)
    first = list(val)
    val.set_epoch(5)
    assert all(same(*pair) for pair in zip(first, val, strict=True))


DIGEST = """
import hashlib, sys
sys.path.append(sys.argv[1])
from tiny_curated import Tiny, random_split
from perturbench_lamin.loading.batches import BatchLoader, ControlMatched
from perturbench_lamin.loading.curated import split_labels
from perturbench_lamin.loading.dataset import SplitData
from perturbench_lamin.loading.vocabulary import Vocabulary
data = Tiny(treatments=("none", "drug")).data()
labels = split_labels(random_split(data), data)
vocabulary = Vocabulary.from_cells(data.obs[labels == "train"], data.genes, data.info)
sampling = ControlMatched(SplitData.build(data, labels, "train", vocabulary))
print(digest(BatchLoader(sampling, batch_size=7, seed=3, shuffle=True)))
"""
MAKE_DIGEST = """
def digest(batches):
    import hashlib
    parts = [t.numpy().tobytes() for b in batches for t in (b.controls, b.expression, b.perturbations, b.covariates)]
    return hashlib.sha256(b"".join(parts)).hexdigest()
"""


def test_batches_do_not_depend_on_the_hash_seed():
    here: dict = {}
    exec(MAKE_DIGEST, here)
    command = [sys.executable, "-c", MAKE_DIGEST + DIGEST, str(Path(__file__).parent)]
    environment = os.environ | {"PYTHONHASHSEED": "1" if os.environ.get("PYTHONHASHSEED") != "1" else "2"}
    there = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout.strip()
    assert there == here["digest"](loader(ControlMatched))


def test_draws_are_uniform_over_the_states_controls():
    data = split_data()
    state = int(data.state[~data.is_control][0])
    controls = data.controls.of(state)
    drawn = data.controls.draw(np.full(60_000, state), np.random.default_rng(0))
    share = np.bincount(np.searchsorted(controls, drawn), minlength=len(controls)) / 60_000
    np.testing.assert_allclose(share, 1 / len(controls), atol=6 * np.sqrt(0.25 / 60_000))


@settings(max_examples=20, deadline=None)
@given(batch_size=st.integers(1, 200))
def test_the_length_is_the_number_of_batches(batch_size):
    batches = loader(ControlMatched, batch_size=batch_size)
    sizes = [len(batch) for batch in batches]
    assert len(sizes) == len(batches)
    assert all(left == batch_size for left, _ in pairwise(sizes))
    assert sum(sizes) == ((SPLIT == "train").to_numpy() & (DATA.obs["condition"] != "control").to_numpy()).sum()


def test_a_state_without_controls_is_named():
    bare = SPLIT.copy()
    state = (DATA.obs["cell_type"] == "RPE1") & (DATA.obs["treatment"] == "drug")
    bare[(state & (DATA.obs["condition"] == "control") & (SPLIT == "val")).to_numpy()] = ""
    with pytest.raises(InputError, match=r"no control of their covariate state \[val cells\]\n.*RPE1/drug\."):
        ControlMatched(split_data("val", bare))
    Disentanglement(split_data("val", bare))


def test_only_controls_is_an_error_for_control_matching():
    only = SPLIT.where((DATA.obs["condition"] == "control").to_numpy() | (SPLIT != "val").to_numpy(), "")
    with pytest.raises(InputError, match="No perturbed cells"):
        ControlMatched(split_data("val", only))


def test_a_batch_moves_whole():
    batch = next(iter(loader(Disentanglement)))
    moved = batch.to("meta")
    assert moved.expression is moved.controls
    assert moved.perturbations.device.type == "meta"
    assert len(moved) == len(batch)


def test_unknown_sampling_and_empty_batches_are_errors():
    with pytest.raises(InputError, match="Did you mean control_matched"):
        sampling("control_match", split_data())
    with pytest.raises(InputError, match="batch_size is 0"):
        loader(ControlMatched, batch_size=0)


def test_a_split_without_validation_cells_is_an_error():
    with pytest.raises(InputError, match="no val cells"):
        PerturbationData(DATA, SPLIT.replace("val", ""))


def test_expression_is_shared_not_copied():
    assert split_data().X is DATA.X
