"""Data scaling by covariates and by perturbations: the published draws, and what must hold whatever is drawn."""

from __future__ import annotations

import random
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.model_selection import train_test_split
from splitting_tables import screen

from perturbench_lamin.conditions import ObsKeys
from perturbench_lamin.splitting.tasks import make_split

COLUMNS = ("cell_type", "treatment")
KEYS = ObsKeys(covariates=COLUMNS)
STATES = [("a", "x"), ("a", "y"), ("b", "x"), ("b", "y"), ("x", "b")]
HELD_OUT = (("b", "x"), ("a", "y"))


def plain(obs, held_out, trained, seed):
    """The published draws written down plainly, with the global generator that they were made with."""
    split = {
        cell: "train" if state in trained else ""
        for cell, *state in obs[list(COLUMNS)].itertuples()
        for state in [tuple(state)]
    }
    rng = np.random.default_rng(seed)
    conditions = [name for name in obs["condition"].unique() if name != "control"]
    pairs = []
    for state in held_out:
        random.seed(int(rng.integers(0, 65536)))
        pairs += [(name, state) for name in random.sample(conditions, int(0.7 * len(conditions)))]
        here = obs[(obs[list(COLUMNS)] == state).all(axis=1)]
        controls = here.index[here["condition"] == "control"].tolist()
        drawn = random.sample(controls, int(0.5 * len(controls)))
        val, test = train_test_split(drawn, test_size=0.5, random_state=int(rng.integers(0, 65536)))
        split |= dict.fromkeys(val, "val") | dict.fromkeys(test, "test")
    random.seed(int(rng.integers(0, 65536)))
    chosen = random.sample(pairs, len(pairs) // 2)
    for cell, condition, *state in obs.itertuples():
        if (condition, tuple(state)) in pairs:
            split[cell] = "val" if (condition, tuple(state)) in chosen else "test"
    return split


@pytest.mark.parametrize("seed", [12345, 0, 7])
@pytest.mark.parametrize("train_states", [(), (("a", "x"),)])
def test_scaling_draws_as_published(seed, train_states):
    obs = screen(STATES, COLUMNS)
    split = make_split(obs, "scaling", KEYS, {"heldout_states": HELD_OUT, "train_states": train_states, "seed": seed})
    trained = {*HELD_OUT, *(train_states or STATES)}
    assert split.to_dict() == plain(obs, HELD_OUT, trained, seed)


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    held_out=st.lists(st.sampled_from(STATES), min_size=1, max_size=2, unique=True),
    order=st.permutations(STATES),
    control=st.sampled_from([0.3, 0.5, 0.7]),
)
def test_scaling_is_nested(seed, held_out, order, control):
    obs = screen(STATES, COLUMNS)
    others = [state for state in order if state not in held_out]
    params = {"seed": seed, "heldout_states": held_out, "train_control_fraction": control}
    sizes = [others[:1], others[:2], []]
    small, medium, full = (make_split(obs, "scaling", KEYS, params | {"train_states": size}) for size in sizes)
    for smaller, larger in ((small, medium), (medium, full)):
        assert smaller[smaller != ""].equals(larger[smaller != ""])
        assert set(larger[smaller == ""]) <= {"train", ""}
        assert (larger == "train").sum() > (smaller == "train").sum()
    states = obs[list(COLUMNS)].apply(tuple, axis=1)
    assert set(states[full.isin(["val", "test"])]) <= set(held_out)
    held = [(states == state) & (obs["condition"] == "control") for state in held_out]
    for mask in held:
        counts = full[mask].value_counts()
        assert counts.sum() - counts["train"] == pytest.approx((1 - control) * counts.sum(), abs=1)
        assert 0 <= counts["test"] - counts["val"] <= 1


def test_scaling_order_of_train_states_does_not_matter():
    obs = screen(STATES, COLUMNS)
    first, second = (
        make_split(obs, "scaling", KEYS, {"heldout_states": [("a", "x")], "train_states": order})
        for order in ([("b", "x"), ("b", "y")], [["b", "y"], ["b", "x"]])
    )
    assert first.equals(second)


@pytest.mark.parametrize("seed", [57, 3])
def test_scaling_perturbations_draws_as_published(seed):
    obs = screen(STATES, COLUMNS)
    conditions = [name for name in obs["condition"].unique() if name != "control"]
    random.seed(84)
    medium = random.sample(conditions, len(conditions) // 2)
    small = random.sample(medium, len(medium) // 2)
    params = {"seed": seed, "max_heldout_covariates": 3, "max_heldout_fraction": 0.6}
    of_small = make_split(obs[obs["condition"].isin(["control", *small])], "transfer", KEYS, params)
    for level, kept in enumerate((conditions, medium, small)):
        wanted = of_small.reindex(obs.index).where(~obs["condition"].isin(set(kept) - set(small)), "train").fillna("")
        split = make_split(obs, "scaling-perturbations", KEYS, params | {"level": level})
        assert split.to_dict() == wanted.to_dict()


@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    sampling=st.integers(0, 99),
    shares=st.sampled_from([(0.9, 0.7), (0.8, 1.0), (0.7,)]),
)
def test_scaling_perturbations_is_nested(seed, sampling, shares):
    obs = screen(STATES, COLUMNS)
    params = {"seed": seed, "sampling_seed": sampling, "shares": shares}
    params |= {"max_heldout_covariates": 2, "max_heldout_fraction": 1.0}
    levels = [make_split(obs, "scaling-perturbations", KEYS, params | {"level": n}) for n in range(len(shares) + 1)]
    for larger, smaller in pairwise(levels):
        assert smaller[smaller != ""].equals(larger[smaller != ""])
        added = larger[(smaller == "") & (larger != "")]
        assert set(added) <= {"train"}
        assert set(obs["condition"][added.index]).isdisjoint(obs["condition"][smaller != ""])
