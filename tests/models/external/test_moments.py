from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perturbench_lamin.errors import InputError
from perturbench_lamin.models.external.moments import Moments


def moments(cells: np.ndarray, blocks: int = 3) -> Moments:
    found = Moments(cells.shape[1])
    for block in np.array_split(cells, blocks):
        found.add(block)
    return found


def example(seed: int, n_cells: int, n_genes: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return (rng.normal(2, 1, (n_cells, n_genes)) * (rng.random((n_cells, n_genes)) < 0.6)).astype(np.float32)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 1000), st.integers(4, 30), st.integers(2, 8), st.integers(1, 5))
def test_correlations(seed, n_cells, n_genes, blocks):
    cells = example(seed, n_cells, n_genes)
    found = moments(cells, blocks)
    np.testing.assert_allclose(found.mean, cells.mean(0, dtype=np.float64))
    varied = np.ptp(cells, axis=0) > 0
    expected = np.zeros((n_genes, n_genes))
    expected[np.ix_(varied, varied)] = np.corrcoef(cells[:, varied].astype(np.float64), rowvar=False)
    np.testing.assert_allclose(found.correlations(), expected, atol=1e-9)


def test_a_gene_of_one_value_correlates_with_nothing():
    cells = example(0, 20, 4)
    cells[:, 2] = 0.1
    correlations = moments(cells).correlations()
    assert not correlations[2].any()
    assert not correlations[:, 2].any()


def test_components_are_the_singular_vectors():
    cells = example(1, 40, 9)
    found = moments(cells).components(3)
    centred = cells.astype(np.float64) - cells.mean(0, dtype=np.float64)
    _, _, vectors = np.linalg.svd(centred, full_matrices=False)
    np.testing.assert_allclose(np.abs((found * vectors[:3].T).sum(0)), 1, atol=1e-9)
    assert (found[np.abs(found).argmax(0), range(3)] > 0).all()


def test_too_many_components():
    with pytest.raises(InputError, match=r"3 components of 3 cells.*\n.*at most 2"):
        moments(example(0, 3, 5)).components(3)
