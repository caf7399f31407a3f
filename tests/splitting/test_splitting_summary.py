"""Counts of cells and conditions by covariate state and split."""

from __future__ import annotations

import pandas as pd
import pytest
from splitting_tables import screen, table

from perturbench_lamin.conditions import ObsKeys
from perturbench_lamin.errors import InputError
from perturbench_lamin.splitting.summary import excluded_pairs, seen_in_training, split_summary, tell_seen
from perturbench_lamin.splitting.tasks import make_split


@pytest.fixture
def small():
    obs = table({("control", ("b",)): 2, ("g2", ("b",)): 2, ("g1", ("b",)): 3, ("control", ("a",)): 1})
    of_condition = {"g2": "test", "g1": ""}
    split = obs["condition"].map(of_condition).fillna("train").rename("split")
    split[obs.index[(obs["condition"] == "control").to_numpy()][:1]] = "val"
    return obs, split


def test_counts_by_hand(small):
    obs, split = small
    counted = split_summary(obs, split, ObsKeys())
    assert counted.to_numpy().tolist() == [
        ["a", "train", 1, 1, 0],
        ["a", "val", 0, 0, 0],
        ["a", "test", 0, 0, 0],
        ["a", "excluded", 0, 0, 0],
        ["b", "train", 1, 1, 0],
        ["b", "val", 1, 1, 0],
        ["b", "test", 2, 0, 1],
        ["b", "excluded", 3, 0, 1],
    ]
    assert counted.columns.tolist() == ["cell_type", "split", "cells", "control_cells", "conditions"]
    assert excluded_pairs(obs, split, ObsKeys()).to_numpy().tolist() == [["b", "g1", 3]]


def test_counts_agree_with_groupby_on_two_covariates():
    keys = ObsKeys(covariates=("cell_type", "treatment"))
    obs = screen([("a", "x"), ("a", "y"), ("b", "x")], keys.covariates)
    split = make_split(obs, "transfer", keys, {"downsample_fraction": 0.8})
    counted = split_summary(obs, split, keys).set_index([*keys.covariates, "split"])
    named = obs.assign(split=split.replace("", "excluded"))
    perturbed = named[named["condition"] != "control"]
    cells = named.groupby([*keys.covariates, "split"]).size()
    assert counted["cells"][cells.index].tolist() == cells.tolist()
    conditions = perturbed.groupby([*keys.covariates, "split"])["condition"].nunique()
    assert counted["conditions"][conditions.index].tolist() == conditions.tolist()
    assert counted["cells"].sum() == len(obs)
    excluded = excluded_pairs(obs, split, keys)
    assert excluded["cells"].sum() == (split == "").sum() > 0


def test_a_split_of_other_cells_is_refused(small):
    obs, split = small
    with pytest.raises(InputError, match="same cells in the same order"):
        split_summary(obs, split.iloc[::-1], ObsKeys())
    with pytest.raises(InputError, match="Unknown split 'trian'"):
        split_summary(obs, split.replace("train", "trian"), ObsKeys())
    with pytest.raises(InputError, match="No column"):
        excluded_pairs(obs, split, ObsKeys(covariates=("line",)))


def test_no_covariates_make_one_state(small):
    obs, split = small
    counted = split_summary(obs, split, ObsKeys(covariates=()))
    assert counted["cells"].tolist() == [2, 1, 2, 3]
    assert isinstance(counted, pd.DataFrame)


def test_conditions_that_are_held_out_and_trained_on_are_told(caplog):
    obs = screen([("a",), ("b",)])
    keys = ObsKeys()
    split = pd.Series([("train", "val", "test")[number % 3] for number in range(len(obs))], index=obs.index)
    plain = obs.assign(split=split)[(obs["condition"] != "control").to_numpy()]
    for part in ("val", "test"):
        parts = plain.groupby(["condition", "cell_type"])["split"].agg(set)
        wanted = [(condition, (state,)) for (condition, state), seen in parts.items() if seen >= {"train", part}]
        assert sorted(seen_in_training(obs, split, keys, part)) == sorted(wanted)
        assert wanted
    tell_seen(obs, split, keys)
    number = len({condition for condition, _ in seen_in_training(obs, split, keys, "test")})
    assert f"{number} conditions of test are in train in the same state" in caplog.text
    caplog.clear()
    tell_seen(obs, make_split(obs, "combine", keys), keys)
    assert caplog.text == ""
