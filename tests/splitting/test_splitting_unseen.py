"""Whole perturbations held out."""

from __future__ import annotations

import math

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from splitting_tables import screen, table

from perturbench_lamin.conditions import ObsKeys
from perturbench_lamin.errors import InputError
from perturbench_lamin.splitting.tasks import make_split

KEYS = ObsKeys()
STATES = [("a",), ("b",), ("c",)]


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1), fraction=st.sampled_from([0.25, 0.3, 0.5]), test=st.sampled_from([0.4, 0.5, 0.6])
)
def test_train_has_no_held_out_token_and_val_none_of_test(seed, fraction, test):
    obs = screen(STATES)
    params = {"seed": seed, "max_heldout_fraction": fraction, "test_fraction": test}
    try:
        split = make_split(obs, "unseen", KEYS, params)
    except InputError as error:
        assume("No perturbed cell is in" not in str(error))
        raise
    parts = {}
    for part in ("train", "val", "test"):
        tokens = obs["condition"][split == part].map(KEYS.tokens)
        parts[part] = {token for found in tokens for token in found}
    every = {token for condition in obs["condition"] for token in KEYS.tokens(condition)}
    held = every - parts["train"]
    only_in_test = every - parts["train"] - parts["val"]
    assert len(held) >= math.floor(fraction * len(every))
    assert set(split) == {"train", "val", "test"}
    for condition, part in zip(obs["condition"], split, strict=True):
        tokens = set(KEYS.tokens(condition))
        if tokens & only_in_test:
            assert part == "test"
        elif tokens & held:
            assert part in ("val", "test")
    by_condition = split[obs["condition"] != "control"].groupby(obs["condition"]).nunique()
    assert (by_condition == 1).all()  # the same in all states


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 1000))
def test_which_are_held_out_does_not_depend_on_the_order_of_the_cells(seed):
    obs = screen(STATES)
    shuffled = obs.sample(frac=1, random_state=seed)
    perturbed = obs.index[obs["condition"] != "control"]
    first, second = (make_split(cells, "unseen", KEYS)[perturbed] for cells in (obs, shuffled))
    assert first.equals(second)


def test_as_many_as_asked_for():
    obs = table({(f"g{number}", ("a",)): 1 for number in range(20)} | {("control", ("a",)): 10})
    split = make_split(obs, "unseen", KEYS, {"max_heldout_fraction": 0.35, "test_fraction": 0.4})
    assert split[obs["condition"] != "control"].value_counts().to_dict() == {"train": 13, "val": 4, "test": 3}


def test_a_combination_of_val_and_test_perturbations_is_test():
    genes = [f"g{number}" for number in range(8)]
    pairs = [f"{a}+{b}" for place, a in enumerate(genes) for b in genes[place + 1 :]]
    obs = table({(condition, ("a",)): 4 for condition in ["control", *genes, *pairs]})
    split = make_split(obs, "unseen", KEYS, {"max_heldout_fraction": 0.5})
    part = dict(zip(obs["condition"], split, strict=True))
    assert sorted(part[gene] for gene in genes) == ["test"] * 2 + ["train"] * 4 + ["val"] * 2
    for pair in pairs:
        parts = {part[gene] for gene in pair.split("+")}
        assert part[pair] == next(name for name in ("test", "val", "train") if name in parts)


def test_every_state_has_controls_in_every_part():
    obs = screen(STATES)
    split = make_split(obs, "unseen", KEYS, {"train_control_fraction": 0.6})
    controls = split[obs["condition"] == "control"].groupby(obs["cell_type"]).value_counts().unstack()
    assert controls[["train", "val", "test"]].to_numpy().tolist() == [[5, 2, 2], [6, 2, 2], [6, 2, 3]]


def test_delimiters_within_names_are_refused_and_harmless_without_a_delimiter():
    obs = screen(STATES).replace({"condition": {"g00": "(+)-JQ1"}})
    with pytest.raises(InputError, match="as part of a name"):
        make_split(obs, "unseen", KEYS)
    assert set(make_split(obs, "unseen", ObsKeys(delimiter=None))) == {"train", "val", "test"}
