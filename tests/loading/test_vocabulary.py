from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from tiny_curated import Tiny

from perturbench_lamin.conditions import ObsKeys, token_table
from perturbench_lamin.contracts import CuratedInfo
from perturbench_lamin.errors import InputError
from perturbench_lamin.loading.curated import curated
from perturbench_lamin.loading.vocabulary import Vocabulary, condition_tokens

KEYS = ObsKeys(covariates=("cell_type", "treatment"))


def cells(*rows: tuple[str, str, str]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["condition", "cell_type", "treatment"])


def info(obs: pd.DataFrame, keys: ObsKeys = KEYS) -> CuratedInfo:
    return CuratedInfo("", keys, {}, token_table(obs["condition"], keys))


OBS = cells(("B+A", "y", "drug"), ("control", "x", "none"), ("A", "x", "none"), ("control", "y", "drug"))


def test_tokens_values_states_and_conditions_are_sorted_and_do_not_depend_on_the_order_of_cells():
    vocabulary = Vocabulary.from_cells(OBS, ["g2", "g1"], info(OBS))
    assert vocabulary.genes == ("g2", "g1")
    assert vocabulary.perturbations == ("A", "B")
    assert vocabulary.covariates == {"cell_type": ("x", "y"), "treatment": ("drug", "none")}
    assert vocabulary.states == (("x", "none"), ("y", "drug"))
    assert list(vocabulary.conditions.items()) == [("A", ("A",)), ("B+A", ("B", "A")), ("control", ())]
    assert Vocabulary.from_cells(OBS.iloc[::-1], ["g2", "g1"], info(OBS)) == vocabulary


def test_conditions_are_encoded_by_the_table_not_by_splitting_their_names():
    obs = cells(("C[S+](C)[O-]", "x", "none"), ("control", "x", "none"))
    keys = ObsKeys(covariates=KEYS.covariates, delimiter=None)
    vocabulary = Vocabulary.from_cells(obs, ["g"], info(obs, keys))
    assert vocabulary.perturbations == ("C[S+](C)[O-]",)
    rows = vocabulary.encode_perturbations(condition_tokens(["C[S+](C)[O-]", "control"], info(obs, keys)).values())
    np.testing.assert_array_equal(rows, [[1], [0]])


def test_encodings():
    vocabulary = Vocabulary.from_cells(OBS, ["g"], info(OBS))
    np.testing.assert_array_equal(
        vocabulary.encode_perturbations([("B", "A"), (), ("B",), ("B", "B")]), [[1, 1], [0, 0], [0, 1], [0, 1]]
    )
    np.testing.assert_array_equal(
        vocabulary.encode_states([("y", "none"), ("x", "drug")]), [[0, 1, 0, 1], [1, 0, 1, 0]]
    )
    assert vocabulary.n_covariates == 4
    with pytest.raises(InputError, match="Unseen perturbations: Q"):
        vocabulary.encode_perturbations([("Q",)])
    with pytest.raises(InputError, match="Unseen treatment 'heat'"):
        vocabulary.encode_states([("x", "heat")])


def test_without_covariates_there_is_one_empty_state():
    keys = ObsKeys(covariates=())
    vocabulary = Vocabulary.from_cells(OBS, ["g"], info(OBS, keys))
    assert vocabulary.states == ((),)
    assert vocabulary.encode_states([(), ()]).shape == (2, 0)


def test_unseen_tokens_and_values_are_named_and_counted():
    vocabulary = Vocabulary.from_cells(OBS, ["g"], info(OBS))
    other = cells(("A+Q", "x", "none"), ("Q", "x", "none"), ("A", "x", "none"))
    with pytest.raises(InputError, match=r"2 cells have perturbations that training lacks: Q \[test cells\]"):
        vocabulary.require_known(other, info(other), where="test cells")
    other = cells(("A", "z", "none"), ("A", "x", "none"))
    with pytest.raises(InputError, match=r"1 cells have values of cell_type that training lacks: z"):
        vocabulary.require_known(other, info(other), where="test cells")
    unseen_combination = cells(("A", "x", "drug"))
    vocabulary.require_known(unseen_combination, info(unseen_combination), where="test cells")


def test_a_condition_that_the_table_lacks_is_an_error():
    with pytest.raises(InputError, match="table of conditions lacks Q"):
        condition_tokens(["Q"], info(OBS))


def test_json_and_back():
    data = Tiny().data()
    vocabulary = Vocabulary.from_cells(data.obs, data.genes, data.info)
    assert Vocabulary.from_dict(json.loads(json.dumps(vocabulary.to_dict()))) == vocabulary


def test_a_file_with_two_spellings_of_a_condition_has_it_once():
    data = Tiny().data()
    names = data.obs["condition"].astype(str).to_numpy()
    for name, other in (("G0", "G0+control"), ("G0+G1", "G1+G0")):
        names[np.flatnonzero(names == name)[::2]] = other
    obs = data.obs.assign(condition=names)
    info = replace(data.info, conditions=token_table(names, data.info.keys))
    read = curated(data.X, obs, data.genes, info)
    assert read.obs["condition"].tolist() == data.obs["condition"].astype(str).tolist()
    assert [remark.kind for remark in read.remarks] == ["spelling"]
    assert Vocabulary.from_cells(read.obs, read.genes, info) == Vocabulary.from_cells(data.obs, data.genes, data.info)
