"""Condition names, group sizes and the curation log."""

from __future__ import annotations

import pandas as pd
import pytest

from perturbench_lamin.curation.conditions import replace_exact, small_groups
from perturbench_lamin.curation.steps import CurationLog
from perturbench_lamin.errors import InputError


def test_whole_values_are_replaced_never_parts():
    values = pd.Series(["NTC", "NA", "NANOG", None, "random", "NTC2"], name="gene")
    replaced = replace_exact(values, {"NTC": "control", "NA": "control", "random": "control"})
    assert replaced.astype(object).where(replaced.notna(), None).tolist() == [
        "control", "control", "NANOG", None, "control", "NTC2",
    ]  # fmt: skip
    assert replaced.cat.categories.tolist() == ["NANOG", "NTC2", "control"]


def test_tokens_are_replaced_between_delimiters():
    replaced = replace_exact(pd.Series(["KLF1+NTC", "NTC+NTC2"]), {"NTC": "control"}, delimiter="+")
    assert replaced.tolist() == ["KLF1+control", "control+NTC2"]


def test_a_value_that_does_not_occur_is_an_error():
    with pytest.raises(InputError, match="No value 'NTCs'"):
        replace_exact(pd.Series(["NTC"]), {"NTCs": "control"})


def test_small_groups_are_found_by_all_columns():
    obs = pd.DataFrame({"a": ["x", "x", "x", "y"], "b": ["1", "1", "2", "1"]})
    mask, groups = small_groups(obs, ["a", "b"], 2)
    assert mask.tolist() == [False, False, True, True]
    assert groups.to_dict("list") == {"a": ["x", "y"], "b": ["2", "1"], "cells": [1, 1]}
    with pytest.raises(InputError, match="No column 'c'"):
        small_groups(obs, ["c"], 2)
    with pytest.raises(InputError, match="missing values"):
        small_groups(obs.assign(a=[None, "x", "x", "y"]), ["a"], 2)


def test_the_log_carries_over_what_did_not_change():
    log = CurationLog()
    with pytest.raises(InputError, match="first step"):
        log.add("deposit", cells=10)
    log.add("deposit", cells=10, genes=5, conditions=3)
    log.add("lines", cells=7)
    log.add("symbols", genes=4)
    table = log.table()
    assert table[["cells", "genes", "conditions"]].to_numpy().tolist() == [[10, 5, 3], [7, 5, 3], [7, 4, 3]]
    assert table["cells removed"].tolist() == [0, 3, 0]
