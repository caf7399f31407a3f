"""The registry, the parameters, and what is said when a split cannot be made."""

from __future__ import annotations

import dataclasses
import logging
import math

import numpy as np
import pandas as pd
import pytest
from splitting_tables import ONE, params_of, screen, table

from perturbench_lamin.conditions import ObsKeys
from perturbench_lamin.errors import InputError
from perturbench_lamin.splitting.combine import CombineParams
from perturbench_lamin.splitting.params import share_of
from perturbench_lamin.splitting.tasks import TASKS, make_split, resolve_params
from perturbench_lamin.splitting.transfer import TransferParams

KEYS = ObsKeys()
STATES = [("a",), ("b",), ("c",)]


def test_defaults_are_the_published_ones():
    defaults = {name: dataclasses.asdict(task.params()) for name, task in TASKS.items()}
    assert {name: params["seed"] for name, params in defaults.items()} == {
        "transfer": 54,
        "combine": 54,
        "combine-inverse": 54,
        "manual": 54,
        "predefined": 11,
        "scaling": 12345,
        "scaling-perturbations": 57,
        "imbalance": 57,
        "unseen": 42,
    }
    assert {params["train_control_fraction"] for params in defaults.values()} == {0.5}
    assert {params["test_fraction"] for params in defaults.values()} == {0.5}
    assert {name: params.get("max_heldout_fraction") for name, params in defaults.items()} == {
        "transfer": 0.3,
        "combine": 0.7,
        "combine-inverse": 0.3,
        "manual": 0.7,
        "predefined": None,
        "scaling": 0.7,
        "scaling-perturbations": 0.3,
        "imbalance": 0.3,
        "unseen": 0.3,
    }
    assert (defaults["transfer"]["max_heldout_covariates"], defaults["transfer"]["min_train_covariates"]) == (2, 1)
    assert {params.get("max_heldout_perturbations", 200) for params in defaults.values()} == {200}


def test_a_share_does_not_lose_one_to_rounding():
    assert [share_of(1 - fraction, 10) for fraction in (0.9, 0.7, 0.5, 0.0, 1.0)] == [1, 3, 5, 10, 0]
    assert share_of(0.7, 528) == 369


def test_params_may_be_a_dataclass_a_mapping_or_left_out():
    assert resolve_params("transfer") == TransferParams()
    assert resolve_params("transfer", {"seed": np.int64(3)}) == TransferParams(seed=3)
    obs = screen(STATES)
    by_class = make_split(obs, "combine", KEYS, CombineParams(seed=1))
    assert by_class.equals(make_split(obs, "combine", KEYS, {"seed": np.uint8(1)}))
    assert not by_class.equals(make_split(obs, "combine", KEYS))


@pytest.mark.parametrize(
    ("task", "params", "message"),
    [
        ("transfers", None, "Did you mean transfer"),
        ("combine_inverse", None, "Did you mean combine-inverse"),
        ("transfer", {"sead": 1}, "Did you mean seed"),
        ("combine", TransferParams(), "takes CombineParams, not TransferParams"),
        ("combine", {"min_train_covariates": 1}, "no parameter 'min_train_covariates'"),
        ("transfer", {"max_heldout_fraction": 1.2}, "max_heldout_fraction is 1.2"),
        ("transfer", {"max_heldout_fraction": float("nan")}, "from 0 to 1"),
        ("transfer", {"max_heldout_fraction": "0.3"}, "max_heldout_fraction is '0.3'"),
        ("transfer", {"test_fraction": 1.0}, "both excluded"),
        ("transfer", {"seed": -1}, "whole number from 0"),
        ("transfer", {"seed": True}, "seed is True"),
        ("transfer", {"seed": 1.0}, "seed is 1.0"),
        ("transfer", {"max_heldout_covariates": 0}, "of at least 1"),
        ("manual", {}, "No covariate state is named"),
        ("scaling", {}, "No covariate state is named"),
        ("scaling", {"heldout_states": ["a"], "train_states": ["b", "b"]}, "train_states names a state twice"),
        ("scaling", {"heldout_states": ["a"], "train_states": ["a"]}, "a is among the train_states and the heldout"),
        ("scaling", {"heldout_states": ["a"], "train_states": ["z"]}, "No cell has the covariate state 'z'"),
        ("scaling", {"heldout_states": ["z"]}, r"'z' \[heldout_states, columns cell_type\]"),
        ("scaling", {"heldout_states": ["a"], "max_heldout_fraction": 0.0}, "No perturbed cell is in val or test"),
        ("scaling", {"heldout_states": ["a"], "train_control_fraction": 1.0}, "control cells of a cannot be dealt out"),
        ("scaling-perturbations", {"level": 3}, "level is 3, but 2 shares make levels 0 to 2"),
        ("scaling-perturbations", {"level": -1}, "of at least 0"),
        ("scaling-perturbations", {"shares": [0.5, 0.0]}, "shares has 0.0"),
        ("scaling-perturbations", {"sampling_seed": -1}, "sampling_seed is -1"),
        ("imbalance", {"balance": 1.5}, "balance is 1.5"),
        (
            "imbalance",
            {"balance": 0.9},
            r"fewer conditions than another \[min_conditions 30, conditions by state \d+, ",
        ),
        ("imbalance", {"balance": 0.1, "min_conditions": 2}, r"balance of 0.1 ± 0.01(.|\n)*the balance is 0\.\d+"),
        ("imbalance", {"min_conditions": 0}, "of at least 1"),
        ("unseen", {"max_heldout_fraction": 0.1}, "1 of 12 perturbations are held out: not one each for val and test"),
        ("unseen", {"max_heldout_fraction": 1.0}, "No perturbed cell is in train"),
        ("unseen", {"train_control_fraction": 0.95}, "9 control cells of a cannot be dealt out"),
        ("predefined", {"column": "cell-type"}, "Did you mean cell_type"),
        ("predefined", {"names": {"a": "training"}}, "names has 'training' for 'a'"),
        ("predefined", {"column": "cell_type", "names": {"a": "train", "b": "val"}}, "Unknown values: c"),
        ("manual", {"heldout_states": ["a", "a"]}, "a state twice"),
        ("manual", {"heldout_states": ["aa"]}, "No cell has the covariate state 'aa'"),
    ],
)
def test_wrong_tasks_and_parameters_are_named(task, params, message):
    with pytest.raises(InputError, match=message):
        make_split(screen(STATES), task, KEYS, params)


def test_a_transfer_within_one_state_is_refused_with_advice_that_helps():
    obs = screen(STATES[:1])
    message = r"No condition is in more than 1 covariate state(.|\n)*19 conditions, 1 covariate state\]\n(.|\n)*unseen"
    with pytest.raises(InputError, match=message):
        make_split(obs, "transfer", KEYS, TransferParams(max_heldout_fraction=1.0))
    with pytest.raises(InputError, match="lower min_train_covariates"):
        make_split(screen(STATES), "transfer", KEYS, TransferParams(min_train_covariates=3))


@pytest.mark.parametrize("task", TASKS)
def test_controls_are_needed_in_every_state(task):
    obs = screen(STATES)
    with pytest.raises(InputError, match="No cell has the control value 'ctrl'"):
        make_split(obs, task, ObsKeys(control="ctrl"))
    with pytest.raises(InputError, match=r"No control cells in 1 covariate states(.|\n)*: b\."):
        make_split(obs[(obs["condition"] != "control") | (obs["cell_type"] != "b")], task, KEYS)


def test_unknown_columns_and_repeated_cells_are_named():
    obs = screen(STATES)
    with pytest.raises(InputError, match="Did you mean cell_type"):
        make_split(obs, "transfer", ObsKeys(covariates=("celltype",)))
    with pytest.raises(InputError, match="occur more than once"):
        make_split(pd.concat([obs, obs.iloc[:1]]), "transfer", KEYS)


@pytest.mark.parametrize("task", ["combine", "combine-inverse"])
def test_combination_tasks_need_combinations(task):
    obs = table({(f"g{number}", ("a",)): 2 for number in range(9)} | {("control", ("a",)): 4})
    with pytest.raises(InputError, match="No condition is a combination"):
        make_split(obs, task, KEYS)
    with pytest.raises(InputError, match="No condition is a combination"):
        make_split(screen(STATES), task, ObsKeys(delimiter=None))
    obs.iloc[0, 0] = "(+)-JQ1"
    with pytest.raises(InputError, match="as part of a name"):
        make_split(obs, task, KEYS)


def test_transfer_does_not_mind_a_delimiter_within_a_name():
    obs = screen(STATES).replace({"condition": {"g00": "(+)-JQ1"}})
    assert set(make_split(obs, "transfer", KEYS)) == {"train", "val", "test"}


def test_too_few_held_out_pairs_are_counted_by_state():
    obs = table({(name, state): 1 for name in ("control", "g0", "g1") for state in [("a",), ("b",)]})
    with pytest.raises(InputError, match=r"two conditions(.|\n)*by covariate state: (a|b) 1"):
        make_split(obs, "transfer", KEYS, {"max_heldout_covariates": 1})
    with pytest.raises(InputError, match=r"cannot be drawn into val and test(.|\n)*a \d+, b \d+, c \d+"):
        make_split(screen(STATES), "transfer", KEYS, {"test_fraction": 0.95})


def test_a_lone_held_out_pair_is_discarded_and_reported(caplog):
    obs = table({(f"g{n}+g{n + 1}", ("a",)): 2 for n in range(9)} | {(s, ("a",)): 3 for s in ("control", "g0")})
    lone = table({(f"g{n}+g{n + 1}", ("b",)): 2 for n in range(3)} | {("control", ("b",)): 3})
    both = pd.concat([obs, lone.set_index("lone " + lone.index)])
    with caplog.at_level(logging.WARNING):
        split = make_split(both, "combine", KEYS, {"max_heldout_fraction": 0.5})
    discarded = both[split == ""].drop_duplicates()
    assert discarded["cell_type"].tolist() == ["b"]
    assert f"Discarded, as the only held-out pair of its covariate state: {discarded['condition'].iloc[0]} in b" in (
        caplog.text
    )


def test_transfer_reports_conditions_that_train_sees_nowhere(caplog):
    params = {"max_heldout_covariates": 3, "max_heldout_fraction": 1.0}
    with caplog.at_level(logging.WARNING):
        obs = screen(STATES)
        split = make_split(obs, "transfer", KEYS, params)
    unseen = set(obs["condition"]) - set(obs["condition"][split == "train"])
    assert f"{len(unseen)} held-out conditions are left in fewer than 1 train states" in caplog.text
    assert unseen


def test_transfer_cannot_draw_more_states_than_there_are():
    with pytest.raises(InputError, match="only 3 covariate states"):
        make_split(screen(STATES), "transfer", KEYS, {"max_heldout_covariates": 100, "max_heldout_fraction": 1.0})


@pytest.mark.parametrize("task", TASKS)
def test_two_names_of_one_condition_are_one_and_reported(task, caplog):
    plain = screen(ONE)
    mixed = plain.copy()
    for name, other in (("g00+g07", "g07+g00"), ("g00", "g00+control"), ("g05", "control+g05")):
        rows = mixed.index[mixed["condition"] == name][::2]
        mixed.loc[rows, "condition"] = other
    with caplog.at_level(logging.WARNING):
        split = make_split(mixed, task, KEYS, params_of(task, 1, 5))
    assert "'g00+control' is 'g00', 'g07+g00' is 'g00+g07', 'control+g05' is 'g05'" in caplog.text
    assert split.equals(make_split(plain, task, KEYS, params_of(task, 1, 5)))


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("single", ["{}+ctrl", "ctrl+{}"])
def test_the_control_among_the_parts_of_a_name_changes_nothing(task, single):
    plain = screen(ONE).replace({"condition": {"control": "ctrl"}})
    keys, params = ObsKeys(control="ctrl"), params_of(task, 1, 5)
    if task == "predefined":
        plain["split"] = plain["condition"].map(params["names"]).fillna("ctrl")
        params = {"unassigned": "ctrl"}
    if task in ("combine", "combine-inverse"):
        params |= {"downsample_fraction": 0.85, "max_heldout_fraction": 0.5}
    singles = {name: single.format(name) for name in set(plain["condition"]) if len(keys.tokens(name)) == 1}
    split = make_split(plain.replace({"condition": singles}), task, keys, params)
    assert split.equals(make_split(plain, task, keys, params))


@pytest.mark.parametrize("seed", range(1, 6))
def test_partners_are_known_by_their_tokens(seed):
    genes = [f"g{number:02d}" for number in range(20)]
    pairs = [f"{one}+{other}" for one, other in zip(genes[::2], genes[1::2], strict=True)]
    names = ["ctrl", *(f"{gene}+ctrl" for gene in genes), *pairs]
    obs = table({(name, ("a",)): 60 if name == "ctrl" else 2 for name in names})
    keys = ObsKeys(control="ctrl")
    split = make_split(obs, "combine-inverse", keys, {"seed": seed, "max_heldout_fraction": 0.4})
    held = {token for name in obs["condition"][split.isin(["val", "test"])] for token in keys.tokens(name)}
    assert held
    assert not any(held.issuperset(keys.tokens(pair)) for pair in pairs)


@pytest.mark.parametrize("task", TASKS)
def test_order_of_categories_and_type_of_columns_change_nothing(task):
    obs = screen(ONE)
    split = make_split(obs, task, KEYS, params_of(task, 1, 5))
    for step in (1, -1):
        orders = {name: pd.Categorical(obs[name], [*sorted(set(obs[name]))[::-step], "zzz"]) for name in obs.columns}
        assert make_split(obs.assign(**orders), task, KEYS, params_of(task, 1, 5)).equals(split)
    assert make_split(obs.astype("string"), task, KEYS, params_of(task, 1, 5)).equals(split)


@pytest.mark.parametrize(
    "name", ["g01 ", " g01", "g01\t", "g01\xa0", "g01\u200b", "g01 + g02", "g01+ g02", "\ufeffg01"]
)
def test_spaces_and_invisible_characters_are_refused_and_shown(name):
    obs = screen(STATES).replace({"condition": {"g03": name}})
    with pytest.raises(InputError, match="spaces at their ends, or invisible") as refused:
        make_split(obs, "transfer", KEYS)
    assert repr(name) in str(refused.value)


def test_spaces_in_covariates_and_in_the_control_value_are_refused():
    obs = screen(STATES)
    with pytest.raises(InputError, match=r"'cell_type'.* in \d+ cells: 'b '"):
        make_split(obs.replace({"cell_type": {"b": "b "}}), "transfer", KEYS)
    with pytest.raises(InputError, match="control value 'control '"):
        make_split(obs, "transfer", ObsKeys(control="control "))


@pytest.mark.parametrize("name", ["nan", "NaN", "None", "NA", "<NA>", "null", "g01+nan"])
def test_a_text_that_says_there_is_no_perturbation_is_told(name, caplog):
    obs = screen(STATES).replace({"condition": {"g03": name}})
    with caplog.at_level(logging.WARNING):
        make_split(obs, "transfer", KEYS)
    count = int((obs["condition"] == name).sum())
    assert f"{count} cells have '{name}' in column 'condition', taken for a perturbation" in caplog.text


@pytest.mark.parametrize(("name", "is_told"), [("NA", True), ("nan", True), ("none", False)])
def test_a_text_for_a_missing_covariate_is_told(name, is_told, caplog):
    obs = screen(STATES).replace({"cell_type": {"b": name}})
    with caplog.at_level(logging.WARNING):
        make_split(obs, "transfer", KEYS)
    assert (f"have '{name}' in column 'cell_type', taken for a value of that name" in caplog.text) is is_told


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ({"covariates": "cell_type"}, r"covariates is the text 'cell_type'.*\n.*Give \('cell_type',\)"),
        ({"control": 0}, r"control is 0, no text.*\n.*'0'"),
        ({"control": None}, "control is None"),
        ({"covariates": ("cell_type", 1)}, "covariates is 1, no text"),
    ],
)
def test_keys_that_are_no_text_are_refused_at_once(words, message):
    with pytest.raises(InputError, match=message):
        ObsKeys(**words)
    assert ObsKeys(covariates=["cell_type"]) == ObsKeys()


def test_a_table_of_another_kind_is_refused():
    obs = screen(STATES)
    with pytest.raises(InputError, match="Not a table of cells but dict"):
        make_split(obs.to_dict(), "transfer", KEYS)
    with pytest.raises(InputError, match="'condition' has values that are neither text nor numbers"):
        make_split(obs.assign(condition=[["g01"]] * len(obs)), "transfer", KEYS)


def test_columns_that_share_values_do_not_collapse():
    states = [("x", "y"), ("y", "x"), ("x", "x")]
    obs = screen(states, ("cell_type", "treatment"))
    params = {"heldout_states": [("x", "y")]}
    split = make_split(obs, "manual", ObsKeys(covariates=("cell_type", "treatment")), params)
    held = obs[split.isin(["val", "test"]) & (obs["condition"] != "control")]
    assert held[["cell_type", "treatment"]].drop_duplicates().to_numpy().tolist() == [["x", "y"]]


def test_no_covariates_are_one_state():
    obs = screen([("a",)])
    split = make_split(obs, "combine", ObsKeys(covariates=()))
    assert split.equals(make_split(obs, "combine", KEYS))


def test_numbers_are_sorted_as_text_whatever_the_file():
    states = [(str(dose),) for dose in (2, 10, 100)]
    obs = table({(str(number), state): 2 for number in (*range(7, 17), 0) for state in states})
    keys, params = ObsKeys(control="0"), {"max_heldout_fraction": 0.5}
    split = make_split(obs, "transfer", keys, params)
    for kind in ("int8", "int64", "category"):
        assert make_split(obs.astype(kind), "transfer", keys, params).equals(split)


@pytest.mark.parametrize("task", ["combine", "combine-inverse"])
def test_downsampling_keeps_a_combination_with_all_its_singles_only(task):
    obs = screen(STATES)
    split = make_split(obs, task, KEYS, {"downsample_fraction": 0.85, "max_heldout_fraction": 0.5})
    kept = set(obs["condition"][split != ""])
    dropped = set(obs["condition"]) - kept
    orphans = {name for name in dropped if KEYS.is_combination(name) and not kept.issuperset(KEYS.tokens(name))}
    assert len(kept) < math.floor(0.85 * (len(kept) + len(dropped)))  # the draw, less the orphans
    assert orphans
    assert all(kept.issuperset(KEYS.tokens(name)) for name in kept)
