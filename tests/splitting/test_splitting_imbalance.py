"""The search for an imbalance, what it takes away, and the split of the rest."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from splitting_tables import grid

from perturbench_lamin.conditions import ObsKeys
from perturbench_lamin.errors import InputError
from perturbench_lamin.splitting.imbalance import ImbalanceParams, balance_of, find_counts
from perturbench_lamin.splitting.tasks import make_split

LINES = [("k562",), ("a549",), ("mcf7",)]


def screen_of(n_conditions: int):
    """Conditions whose sorted order is not the order in which the table first names them."""
    return grid([f"g{number * 7 % n_conditions:03d}" for number in range(n_conditions)], LINES, ("cell_type",), 9)


@pytest.mark.parametrize(("balance", "counts"), [(0.9, [189, 51, 118]), (0.8, [189, 82, 31]), (0.7, [189, 34, 34])])
def test_finds_the_published_numbers(balance, counts):
    assert find_counts([189, 189, 189], ImbalanceParams(balance=balance)) == counts


def test_balance_in_closed_form():
    assert balance_of([7, 7, 7, 7]) == pytest.approx(1, abs=1e-7)
    assert balance_of([189, 30, 30]) == pytest.approx(0.6547, abs=5e-5)  # the published minimum
    assert balance_of([3, 1]) == pytest.approx(2 - 0.75 * math.log2(3), abs=1e-7)
    assert balance_of([10**9, 1]) == pytest.approx(0, abs=1e-6)


@settings(max_examples=50, deadline=None)
@given(
    sizes=st.lists(st.integers(30, 60), min_size=2, max_size=5),
    balance=st.sampled_from([0.9, 0.95, 0.98]),
    seed=st.integers(0, 2**32 - 1),
)
def test_what_is_found_is_within_bounds(sizes, balance, seed):
    params = ImbalanceParams(balance=balance, min_conditions=3, sampling_seed=seed)
    try:
        counts = find_counts(sizes, params)
    except InputError as error:
        assume("No numbers of conditions" not in str(error))
        raise
    assert abs(balance_of(counts) - balance) < 0.01
    assert counts[0] == sizes[0]
    assert all(3 <= count <= min(sizes) for count in counts[1:])


@pytest.mark.parametrize("balance", [0.9, 0.8])
def test_takes_away_and_splits_as_published(balance):
    """The published steps written down plainly, with the global generator that they were made with."""
    obs = screen_of(60)
    params = {"balance": balance, "min_conditions": 8}
    counts = find_counts([61, 61, 61], ImbalanceParams(**params))
    np.random.seed(42)  # noqa: NPY002
    kept = set()
    for line, count in zip(("a549", "k562", "mcf7"), counts, strict=True):
        conditions = np.array(obs["condition"][obs["cell_type"] == line].unique(), dtype=object)
        np.random.shuffle(conditions)  # noqa: NPY002
        kept |= {(condition, line) for condition in conditions[:count]} | {("control", line)}
    chosen = [pair in kept for pair in zip(obs["condition"], obs["cell_type"], strict=True)]
    rest = make_split(obs[chosen], "transfer", ObsKeys(), {"seed": 57, "max_heldout_covariates": 1})
    split = make_split(obs, "imbalance", ObsKeys(), params)
    assert split[chosen].equals(rest)
    assert set(split[~np.array(chosen)]) == {""}
    numbers = obs[chosen].groupby("cell_type")["condition"].nunique()
    assert all(0 <= n - count <= 1 for n, count in zip(numbers, counts, strict=True))


def test_a_balance_of_one_takes_nothing_away():
    obs = screen_of(20)
    split = make_split(obs, "imbalance", ObsKeys(), {"balance": 1})
    assert split.equals(make_split(obs, "transfer", ObsKeys(), {"seed": 57, "max_heldout_covariates": 1}))


def test_one_state_has_no_balance():
    obs = screen_of(40).query("cell_type == 'k562'")
    with pytest.raises(InputError, match="No state could keep fewer conditions than another"):
        make_split(obs, "imbalance", ObsKeys(), {"balance": 0.9})
