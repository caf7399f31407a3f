from __future__ import annotations

import numpy as np
import pytest
from tiny_curated import Tiny, random_split

from perturbench_lamin.errors import InputError
from perturbench_lamin.loading.asked import asked_pairs, read_pairs, tokens_of
from perturbench_lamin.loading.counterfactuals import Counterfactuals
from perturbench_lamin.loading.dataset import SplitData
from perturbench_lamin.loading.vocabulary import Vocabulary

DATA = Tiny().data()
SPLIT = random_split(DATA)
LABELS = SPLIT.to_numpy()
VOCABULARY = Vocabulary.from_cells(DATA.obs[LABELS == "train"], DATA.genes, DATA.info)
SETTINGS = {"max_control_cells": 2, "seed": 4, "batch_size": 3}
K562 = ("K562", "none")


def test_pairs_of_the_split_are_the_groups_and_batches_of_its_counterfactuals():
    data = SplitData.build(DATA, LABELS, "test", VOCABULARY)
    usual = Counterfactuals(data, **SETTINGS)
    pairs = [(group.state, group.condition) for group in usual.groups()]
    asked = asked_pairs(DATA, LABELS == "test", pairs, VOCABULARY, SETTINGS)
    assert len(asked.groups()) == len(pairs) == 14
    for one, other in zip(usual.groups(), asked.groups(), strict=True):
        assert (one.condition, one.state) == (other.condition, other.state)
        np.testing.assert_array_equal(one.rows, other.rows)
        for left, right in zip(usual.batches(one), asked.batches(other), strict=True):
            for name in ("controls", "perturbations", "covariates", "condition_ids", "state_ids"):
                np.testing.assert_array_equal(getattr(left, name), getattr(right, name), err_msg=name)


def test_a_new_pair_of_known_genes_is_encoded_and_has_no_id():
    asked = asked_pairs(DATA, None, [(K562, "G2+G3"), (K562, "control")], VOCABULARY, SETTINGS)
    pair, control = asked.groups()
    assert "G2+G3" not in VOCABULARY.conditions
    batch = next(asked.batches(pair))
    assert batch.perturbations[0].tolist() == [0, 0, 1, 1]
    assert batch.condition_ids.tolist() == [-1, -1]
    assert next(asked.batches(control)).perturbations.sum() == 0
    controls = DATA.obs["condition"].astype(str).to_numpy()[pair.rows]
    assert set(controls) == {"control"}


def test_the_files_own_table_says_what_a_condition_is_made_of():
    info = DATA.info
    assert tokens_of(["G0+G1"], info, VOCABULARY) == {"G0+G1": ("G0", "G1")}
    assert tokens_of(["control", "G3+G2"], info, VOCABULARY) == {"control": (), "G3+G2": ("G3", "G2")}


@pytest.mark.parametrize(
    ("pair", "message"),
    [
        ((K562, "G2+G9"), r"does not know the perturbation 'G9' \[condition G2\+G9\]\n  Did you mean G"),
        ((("K563", "none"), "G1"), r"does not know the cell_type 'K563' \[K563/none\]\n  Did you mean K562"),
    ],
)
def test_what_the_model_does_not_know_is_named_with_the_nearest(pair, message):
    with pytest.raises(InputError, match=message):
        asked_pairs(DATA, None, [pair], VOCABULARY, SETTINGS)


def test_a_state_without_controls_is_refused():
    only = (DATA.obs["cell_type"] == "RPE1").to_numpy()
    with pytest.raises(InputError, match=r"no control cells of that covariate state \[K562/none\]\n.*RPE1/none"):
        asked_pairs(DATA, only, [(K562, "G1")], VOCABULARY, SETTINGS)


def test_controls_of_states_that_the_model_does_not_know_do_no_harm():
    one = Vocabulary.from_cells(DATA.obs[(DATA.obs["cell_type"] == "K562").to_numpy()], DATA.genes, DATA.info)
    (group,) = asked_pairs(DATA, None, [(K562, "G1")], one, SETTINGS).groups()
    assert set(DATA.obs["cell_type"].astype(str).to_numpy()[group.rows]) == {"K562"}


def test_the_table_of_pairs(tmp_path):
    path = tmp_path / "pairs.csv"
    path.write_text("treatment,condition,cell_type\nnone,G1,RPE1\nnone,NA,K562\n")
    assert read_pairs(path, DATA.info.keys) == [(K562, "NA"), (("RPE1", "none"), "G1")]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("condition,cell_type\nG1,K562\n", "No column 'treatment'"),
        ("condition,cell_type,treatment\nG1,,none\n", r"No cell_type \[.*line 2"),
        ("condition,cell_type,treatment\n", "No rows"),
        ("condition,cell_type,treatment\nG1,K562,none\nG2,K562\u00a0,none\n", r"'K562\\xa0' has spaces.*line 3\]"),
        ("condition,cell_type,treatment\nG1 ,K562,none\n", r"'G1 ' has spaces .*line 2\](.|\n)*'G1'"),
        ("condition,cell_type,treatment\nG1,K562,none\nG1,K562,none\n", r"'G1/K562/none' occurs twice \[.*line 3"),
        ("", "The table is empty"),
    ],
)
def test_a_wrong_table_of_pairs_is_refused(tmp_path, text, message):
    path = tmp_path / "pairs.csv"
    path.write_text(text)
    with pytest.raises(InputError, match=message):
        read_pairs(path, DATA.info.keys)


def test_a_condition_is_known_by_its_tokens_under_any_name():
    names = ["G1+G0", "control+G2", "G3+G3"]
    asked = asked_pairs(DATA, None, [(K562, name) for name in names], VOCABULARY, SETTINGS)
    known = {"G1+G0": "G0+G1", "control+G2": "G2", "G3+G3": "G3"}
    for group in asked.groups():
        batch = next(asked.batches(group))
        place = list(VOCABULARY.conditions).index(known[group.condition])
        assert batch.condition_ids.tolist() == [place] * len(batch)
        tokens = VOCABULARY.conditions[known[group.condition]]
        assert batch.perturbations[0].sum() == len(tokens)
    with pytest.raises(InputError, match=r"'G0\+G1' and 'G1\+G0' in K562/none are one condition"):
        asked_pairs(DATA, None, [(K562, "G0+G1"), (K562, "G1+G0")], VOCABULARY, SETTINGS)


def test_spaces_around_a_name_are_told():
    with pytest.raises(InputError, match="'G0 '"):
        tokens_of(["G0 "], DATA.info, VOCABULARY)
