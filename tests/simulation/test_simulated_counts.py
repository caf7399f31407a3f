import dataclasses
import os
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perturbench_lamin.errors import InputError
from perturbench_lamin.simulation.config import SimulationConfig
from perturbench_lamin.simulation.counts import barcodes, simulate_counts
from perturbench_lamin.simulation.effects import effects_table
from perturbench_lamin.simulation.genes import NORMAN19_TARGETS

SMALL = SimulationConfig(n_cells=600, n_genes=80, n_singles=4, n_pairs=3, n_downstream=10)
TARGETS = NORMAN19_TARGETS[:4]
STATES = (("a", "x"), ("a", "y"), ("b", "x"), ("b", "y"))


@settings(max_examples=25, deadline=None)
@given(
    n_cells=st.integers(1, 200),
    n_genes=st.integers(5, 40),
    n_pairs=st.integers(0, 6),
    chunk=st.integers(1, 300),
    n_states=st.integers(1, 4),
)
def test_shapes_and_whole_numbers(n_cells, n_genes, n_pairs, chunk, n_states):
    config = dataclasses.replace(SMALL, n_cells=n_cells, n_genes=n_genes, n_pairs=n_pairs, chunk_cells=chunk)
    found = simulate_counts(config, TARGETS, STATES[:n_states])
    assert found.counts.shape == (n_cells, n_genes)
    assert found.counts.dtype == np.float32
    assert (found.counts.data > 0).all()
    assert (found.counts.data == np.floor(found.counts.data)).all()
    assert found.counts.has_sorted_indices
    assert len(found.effects.conditions) == 1 + 4 + n_pairs
    assert len(found.genes) == len(set(found.genes)) == n_genes


def test_the_same_seed_gives_the_same_screen_and_another_seed_another():
    first, second = simulate_counts(SMALL, TARGETS), simulate_counts(SMALL, TARGETS)
    assert (first.counts != second.counts).nnz == 0
    assert first.cells.equals(second.cells)
    other = simulate_counts(dataclasses.replace(SMALL, seed=1), TARGETS)
    assert (first.counts != other.counts).nnz > 0


HASH_OF_A_SCREEN = f"""
import hashlib
from perturbench_lamin.simulation.config import SimulationConfig
from perturbench_lamin.simulation.counts import simulate_counts
found = simulate_counts({SMALL!r}, {TARGETS!r}, {STATES!r})
print(hashlib.sha256(found.counts.data.tobytes() + found.cells.to_csv().encode()).hexdigest())
"""


def test_the_hash_seed_changes_nothing():
    digests = {
        subprocess.run(
            [sys.executable, "-c", HASH_OF_A_SCREEN],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            check=True,
        ).stdout
        for seed in ("0", "7")
    }
    assert len(digests) == 1


def test_every_state_has_every_condition_evenly():
    found = simulate_counts(SMALL, TARGETS, STATES)
    sizes = found.cells.groupby(["state", "condition"]).size().unstack()
    assert sizes.notna().all().all()
    perturbed = sizes.drop(columns=0)
    assert perturbed.to_numpy().max() - perturbed.to_numpy().min() <= 1
    assert sizes[0].sum() == round(SMALL.control_fraction * SMALL.n_cells)


def test_counts_follow_the_model():
    """Means and variances of one condition's cells against the closed form NB(μ, dispersion)."""
    config = dataclasses.replace(SMALL, n_cells=20_000, n_singles=1, n_pairs=0, control_fraction=0.5, library_sd=0.0)
    found = simulate_counts(config, TARGETS[:1])
    dense = found.counts.toarray().astype(np.float64)
    control, treated = (dense[found.cells["condition"] == row] for row in (0, 1))
    for cells in (control, treated):
        mean, variance, n = cells.mean(axis=0), cells.var(axis=0, ddof=1), len(cells)
        expected = mean + config.dispersion * mean**2
        # Five standard errors of a variance: its relative one is √((κ + 2) / n), κ the excess kurtosis of the NB.
        kurtosis = 6 * config.dispersion + 1 / expected
        assert (np.abs(variance / expected - 1) < 5 * np.sqrt((kurtosis + 2) / n) + 0.05).all()
        assert cells.sum(axis=1).mean() == pytest.approx(config.mean_umi, rel=0.02)
    measured = np.log(treated.mean(axis=0)) - np.log(control.mean(axis=0))
    truth = found.effects.log_fold_changes[1]
    centred = measured - np.median(measured[truth == 0])  # shares sum to one: all genes move together a little
    errors = np.sqrt(2 * (1 / control.mean(axis=0) + config.dispersion) / len(control))
    assert (np.abs(centred - truth) < 5 * errors + 0.02).all()


def test_pairs_add_up_but_for_the_interactions():
    found = simulate_counts(dataclasses.replace(SMALL, n_pairs=6, interaction_fraction=0.5), TARGETS)
    effects = dict(zip(found.effects.conditions, found.effects.log_fold_changes, strict=True))
    assert len(found.effects.interactions) == 3
    for pair in (condition for condition in effects if len(condition) == 2):
        total = effects[(pair[0],)] + effects[(pair[1],)]
        is_additive = np.array_equal(effects[pair], total)
        assert is_additive == (pair not in found.effects.interactions)
        assert not effects[pair][total == 0].any()
    assert not effects[()].any()


def test_a_target_changes_its_own_gene_and_a_few_others():
    found = simulate_counts(SMALL, TARGETS)
    for row, target in enumerate(TARGETS, start=1):
        changes = found.effects.log_fold_changes[row]
        assert changes[found.genes.index(target)] == SMALL.target_effect
        assert np.count_nonzero(changes) <= SMALL.n_downstream + 1


def test_states_share_what_they_have_in_common():
    found = simulate_counts(SMALL, TARGETS, STATES)
    shifts, response = found.state_shifts, found.response
    assert not shifts[0].any()
    assert response[0] == 1
    np.testing.assert_allclose(shifts[1] + shifts[2], shifts[3])
    assert response[1] * response[2] == pytest.approx(response[3])


def test_the_table_of_effects_holds_what_is_not_zero():
    found = simulate_counts(SMALL, TARGETS)
    table = effects_table(found.effects, found.genes, "_")
    assert len(table) == np.count_nonzero(found.effects.log_fold_changes)
    own = table[(table["condition"] == "KLF1") & (table["gene"] == "KLF1")]
    assert own["log_fold_change"].tolist() == [SMALL.target_effect]


def test_barcodes_are_different():
    found = barcodes(5_000, np.random.default_rng(0))
    assert len(set(found)) == 5_000
    assert all(len(barcode) == 18 for barcode in found)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("n_cells", 0),
        ("n_pairs", 7),
        ("n_genes", 4),
        ("control_fraction", 1.0),
        ("dispersion", 0.0),
        ("interaction_fraction", 1.5),
        ("chunk_cells", 0),
    ],
)
def test_impossible_configurations_are_named(name, value):
    with pytest.raises(InputError, match=name):
        dataclasses.replace(SMALL, **{name: value})
