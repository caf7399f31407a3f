"""The depositors' own split, and control cells dealt out by state."""

from __future__ import annotations

import logging

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.model_selection import train_test_split
from splitting_tables import table

from perturbench_lamin.conditions import ObsKeys
from perturbench_lamin.errors import InputError
from perturbench_lamin.splitting.cells import Cells
from perturbench_lamin.splitting.controls import deal_by_state
from perturbench_lamin.splitting.tasks import make_split

NAMES = {"train": "train", "public_test": "val", "private_test": "test"}
OF_CONDITION = {"control": "control", "bel": "control", "g1": "train", "g2": "public_test", "g3": "private_test"}


@pytest.fixture
def obs():
    cells_of = {(c, (s,)): 4 + place for place, s in enumerate("ba") for c in OF_CONDITION}
    obs = table(cells_of | {("g2", ("c",)): 2, ("control", ("c",)): 3})
    return obs.assign(split=obs["condition"].map(OF_CONDITION))


@pytest.mark.parametrize("seeds", [(11, 21), (0, 0)])
def test_controls_are_drawn_as_published(obs, seeds):
    params = {"names": NAMES, "seed": seeds[0], "val_test_seed": seeds[1]}
    split = make_split(obs, "predefined", ObsKeys(), params)
    for state in ("b", "a", "c"):
        cells = obs.index[(obs["cell_type"] == state) & (obs["condition"] == "control")]
        train, rest = train_test_split(cells, test_size=0.5, random_state=seeds[0])
        val, test = train_test_split(rest, test_size=0.5, random_state=seeds[1])
        for part, wanted in (("train", train), ("val", val), ("test", test)):
            assert set(split[cells].index[split[cells] == part]) == set(wanted)


def test_the_column_is_taken_over_and_small_groups_are_reported(obs, caplog):
    with caplog.at_level(logging.WARNING):
        split = make_split(obs, "predefined", ObsKeys(), {"names": NAMES, "min_cells": 4})
    wanted = obs["condition"].map({"bel": "train", "g1": "train", "g2": "val", "g3": "test"})
    wanted = wanted.mask((obs["cell_type"] == "c") & (obs["condition"] == "g2"), "")
    perturbed = obs["condition"] != "control"
    assert split[perturbed].equals(wanted[perturbed].rename("split"))
    assert caplog.messages == ["Excluded, with fewer than 4 cells in val or test: g2 in c"]


def test_a_group_of_just_enough_cells_stays(obs):
    split = make_split(obs, "predefined", ObsKeys(), {"names": NAMES, "min_cells": 2})
    assert "" not in set(split)


def test_control_cells_that_the_depositors_assigned_stay_where_they_are(obs):
    """However few they are."""
    obs.loc[(obs["condition"] == "control") & (obs["cell_type"] == "a"), "split"] = "private_test"
    obs.loc[obs["condition"] == "g2", "cell_type"] = "b"
    obs.loc[(obs["condition"] == "g3") & (obs["cell_type"] == "a"), "cell_type"] = "b"
    split = make_split(obs, "predefined", ObsKeys(), {"names": NAMES, "min_cells": 9})
    controls = split[obs["condition"] == "control"].groupby(obs["cell_type"]).agg(set)
    assert controls.to_dict() == {"a": {"test"}, "b": {"train", "val", "test"}, "c": {"train", "val", "test"}}


def test_a_categorical_column_and_an_excluding_name(obs):
    obs["split"] = pd.Categorical(obs["split"].replace({"public_test": "held"}).mask(obs["condition"] == "g1", "bad"))
    split = make_split(obs, "predefined", ObsKeys(), {"names": NAMES | {"held": "val", "bad": ""}})
    assert set(split[obs["condition"] == "g1"]) == {""}


def test_what_is_missing_is_named(obs):
    with pytest.raises(InputError, match=r"Unknown values: private_test, public_test \[column split\]"):
        make_split(obs, "predefined", ObsKeys())
    with pytest.raises(InputError, match="No perturbed cell is in val"):
        make_split(obs, "predefined", ObsKeys(), {"names": NAMES, "min_cells": 6})
    with pytest.raises(InputError, match="5 control cells of a cannot be dealt out"):
        make_split(obs, "predefined", ObsKeys(), {"names": NAMES, "train_control_fraction": 0.9})
    with pytest.raises(InputError, match="'split' has no value in 1 cells"):
        make_split(obs.assign(split=obs["split"].mask(obs.index == "cell3")), "predefined", ObsKeys())
    with pytest.raises(InputError, match="No column 'split'"):
        make_split(obs.drop(columns="split"), "predefined", ObsKeys())


@settings(max_examples=50, deadline=None)
@given(
    counts=st.dictionaries(st.sampled_from("abcd"), st.integers(4, 30), min_size=1),
    fraction=st.sampled_from([0.3, 0.5, 0.6]),
    seeds=st.tuples(st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1)),
)
def test_each_state_is_dealt_by_the_fraction(counts, fraction, seeds):
    obs = table({("control", (state,)): count for state, count in counts.items()})
    cells = Cells.from_obs(obs, ObsKeys())
    dealt = deal_by_state(cells, np.arange(len(obs)), fraction, seeds)
    assert sorted(position for positions in dealt.values() for position in positions) == list(range(len(obs)))
    for state, count in counts.items():
        here = {part: sum(obs["cell_type"].iloc[p] == state for p in positions) for part, positions in dealt.items()}
        assert here["train"] == int(fraction * count + 1e-9)
        assert 0 <= here["test"] - here["val"] <= 1
    alone = table({("control", ("a",)): counts.get("a", 4)})
    if "a" in counts:
        apart = deal_by_state(Cells.from_obs(alone, ObsKeys()), np.arange(len(alone)), fraction, seeds)
        numbered = np.flatnonzero((obs["cell_type"] == "a").to_numpy())
        for part, positions in apart.items():
            assert numbered[positions].tolist() == [p for p in dealt[part] if obs["cell_type"].iloc[p] == "a"]
