"""Conditions that tell some rows from others."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perturbench_lamin.comparison.explain import explain, round_between, sentence


class Memory:
    """A table in memory."""

    def __init__(self, **columns):
        self.data = pd.DataFrame(columns)
        self.columns = list(self.data)

    def items(self):
        return self.data.items()


def explained(table, chosen, **options):
    chosen = np.asarray(chosen)
    return explain(table, np.arange(len(chosen)), chosen, **options)


N = 60
RNG = np.random.default_rng(0)
NOISE = RNG.random(N)


def test_one_value():
    chosen = np.arange(N) % 5 == 0
    (found,) = explained(Memory(noise=NOISE, good=pd.Categorical(np.where(chosen, "no", "yes"))), chosen)
    assert (found.text, found.coverage, found.purity, found.chosen, found.others) == ("good == no", 1, 1, 12, 0)
    assert sentence([found], "them") == "all of them, and no other, have good == no"


def test_all_but_one_value():
    chosen = np.arange(N) % 6 != 0
    (found,) = explained(Memory(line=np.where(chosen, RNG.choice(list("abcdefghijklm"), N), "K562")), chosen)
    assert found.text == "line != K562"
    assert found.complete


def test_a_few_values():
    kinds = np.resize(list("abcdef"), N)
    (found,) = explained(Memory(kind=kinds), np.isin(kinds, ["b", "e"]))
    assert found.text == "kind in {b, e}"
    assert found.complete


@pytest.mark.parametrize(("below", "text"), [(True, "genes < 500"), (False, "genes ≥ 500")])
def test_a_threshold_is_a_round_number(below, text):
    genes = RNG.permutation(np.r_[RNG.integers(100, 498, 30), RNG.integers(503, 900, 30)])
    (found,) = explained(Memory(genes=genes), (genes < 500) == below)
    assert found.text == text
    assert found.complete


def test_missing_values():
    dose = np.where(np.arange(N) % 4 == 0, np.nan, NOISE)
    (found,) = explained(Memory(dose=np.where(np.isnan(dose), None, "x")), np.isnan(dose))
    assert found.text == "dose == (missing)"


def test_a_group_too_small_to_keep():
    group = np.r_[np.repeat("large", 30), np.repeat("other", 20), [f"small{k}" for k in range(10)]]
    (found,) = explained(Memory(noise=NOISE, condition=RNG.permutation(group)), np.zeros(N, dtype=bool) | False)[
        :1
    ] or [None]
    assert found is None, "nothing is chosen"
    order = RNG.permutation(N)
    table = Memory(noise=NOISE, condition=group[order])
    (found,) = explained(table, order >= 50)
    assert found.text == "condition in {" + ", ".join(f"small{k}" for k in range(10)) + "}"
    many = np.r_[np.repeat("large", 30), [f"small{k}" for k in range(30)]]
    (found,) = explained(Memory(condition=many), np.arange(N) >= 30)
    assert found.text in ("condition != large", "rows with the same condition < 30")
    three = np.r_[np.repeat("large", 20), np.repeat("other", 20), np.repeat([f"small{k}" for k in range(20)], 1)]
    (found,) = explained(Memory(condition=three), np.arange(N) >= 40)
    assert found.text == "rows with the same condition < 20"
    assert found.complete


def test_the_best_comes_first_and_noise_is_no_reason():
    chosen = np.arange(N) < 20
    table = Memory(noise=NOISE, poor=np.where(np.arange(N) < 14, "x", "y"), exact=np.where(chosen, "x", "y"))
    assert [one.text for one in explained(table, chosen)] == ["exact == x", "poor == x"]
    assert [one.text for one in explained(table, chosen, without=("exact",))] == ["poor == x"]
    assert explained(Memory(noise=NOISE), chosen) == [] or explained(Memory(noise=NOISE), chosen)[0].coverage < 1
    assert explained(table, np.ones(N, dtype=bool)) == []


@given(st.integers(0, 2**32 - 1), st.floats(0.1, 0.9))
@settings(max_examples=30, deadline=None)
def test_coverage_and_purity_are_those_of_the_condition(seed, share):
    rng = np.random.default_rng(seed)
    chosen = rng.random(N) < share
    table = Memory(
        number=np.where(chosen, rng.normal(1, 1, N), rng.normal(-1, 1, N)).round(1),
        text=np.where(chosen & (rng.random(N) < 0.8), "x", rng.choice(["x", "y", "z"], N)),
    )
    for found in explained(table, chosen):
        column, sign, value = found.text.split(" ", 2)
        if column == "rows":
            continue
        satisfied = {
            "==": lambda v, w: v == w,
            "!=": lambda v, w: v != w,
            "<": lambda v, w: v < float(w),
            "≥": lambda v, w: v >= float(w),
            "in": lambda v, w: v.isin(w.strip("{}").split(", ")),
        }[sign](table.data[column], value).to_numpy()
        assert found.chosen == (satisfied & chosen).sum()
        assert found.others == (satisfied & ~chosen).sum()
        assert found.coverage == pytest.approx(found.chosen / chosen.sum())
        assert found.purity == pytest.approx(found.chosen / satisfied.sum())


@given(st.floats(-1e6, 1e6), st.floats(1e-6, 1e6))
@settings(max_examples=60, deadline=None)
def test_a_round_number_lies_between(low, span):
    high = low + span
    made = round_between(low, high)
    assert low < made <= high
    assert len(f"{made:.10g}") <= len(repr(high)) + 1


@pytest.mark.parametrize(("low", "high", "wanted"), [(498, 503, 500), (0.1, 0.2, 0.2), (19, 20, 20), (-3.5, -1.2, -2)])
def test_round_numbers(low, high, wanted):
    assert round_between(low, high) == wanted
