from __future__ import annotations

import numpy as np
import pytest
from test_batches import DATA, SPLIT, rows_of, split_data

from perturbench_lamin.conditions import covariate_states
from perturbench_lamin.errors import InputError
from perturbench_lamin.loading.counterfactuals import Counterfactuals

TEST = (SPLIT == "test").to_numpy()
STATES = covariate_states(DATA.obs, DATA.info.keys.covariates)


def pairs(asked: np.ndarray) -> list[tuple]:
    return sorted(set(zip(STATES[asked], DATA.obs["condition"].astype(str)[asked], strict=True)))


def test_every_condition_of_the_split_in_each_state_by_its_own_controls():
    groups = Counterfactuals(split_data("test")).groups()
    control = (DATA.obs["condition"] == "control").to_numpy()
    assert [(group.state, group.condition) for group in groups] == pairs(TEST & ~control)
    for group in groups:
        wanted = TEST & control & np.array([state == group.state for state in STATES])
        assert group.rows.tolist() == np.flatnonzero(wanted).tolist()


def test_the_control_is_asked_for_on_request():
    groups = Counterfactuals(split_data("test"), include_control=True).groups()
    assert [(group.state, group.condition) for group in groups] == pairs(TEST)


def test_sampled_controls_serve_all_conditions_of_a_state_and_follow_the_seed():
    data = split_data("train")
    groups = Counterfactuals(data, max_control_cells=3, seed=1).groups()
    by_state: dict = {}
    for group in groups:
        assert len(np.unique(group.rows)) == 3
        assert set(group.rows) <= set(data.controls.of(group.state_place))
        by_state.setdefault(group.state, set()).add(tuple(group.rows))
    assert {len(choices) for choices in by_state.values()} == {1}
    again = Counterfactuals(data, max_control_cells=3, seed=1).groups()
    assert all(np.array_equal(*(group.rows for group in pair)) for pair in zip(groups, again, strict=True))
    other = Counterfactuals(data, max_control_cells=3, seed=2).groups()
    assert any(not np.array_equal(*(group.rows for group in pair)) for pair in zip(groups, other, strict=True))


def test_the_choice_of_a_state_does_not_depend_on_other_states():
    one = (DATA.obs["cell_type"] == "RPE1").to_numpy()
    full = Counterfactuals(split_data("val"), max_control_cells=1).groups()
    fewer = Counterfactuals(split_data("val", SPLIT.where(one | (SPLIT != "val"), "")), max_control_cells=1).groups()
    kept = [group for group in full if group.state[0] == "RPE1"]
    assert [group.rows.tolist() for group in fewer] == [group.rows.tolist() for group in kept]


def test_batches_hold_the_groups_controls_in_order_with_its_codes():
    data = split_data("train")
    asked = Counterfactuals(data, batch_size=4)
    group = asked.groups()[5]
    batches = list(asked.batches(group))
    assert [row for batch in batches for row in rows_of(batch.controls)] == group.rows.tolist()
    assert max(len(batch) for batch in batches) == 4
    for batch in batches:
        assert (batch.perturbations.numpy() == data.perturbations[group.condition_place]).all()
        assert (batch.covariates.numpy() == data.covariates[group.state_place]).all()
        with pytest.raises(ValueError, match="no observed cells"):
            _ = batch.target


def test_at_least_one_control_is_asked_for():
    with pytest.raises(InputError, match="max_control_cells is 0"):
        Counterfactuals(split_data("test"), max_control_cells=0)


def test_a_split_of_controls_alone_has_nothing_to_predict():
    controls = (DATA.obs["condition"] == "control").to_numpy()
    data = split_data("test", SPLIT.where(controls | ~TEST, ""))
    with pytest.raises(InputError, match="no perturbed cells"):
        Counterfactuals(data)
    assert len(Counterfactuals(data, include_control=True).groups()) == 4
