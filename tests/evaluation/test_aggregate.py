"""Means and variances per group, whatever the storage."""

import numpy as np
import pandas as pd
import pytest
from anndata import AnnData
from evaluation_cells import KEYS, make_cells
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from perturbench_lamin.errors import InputError
from perturbench_lamin.evaluation import cells as cells_module
from perturbench_lamin.evaluation.aggregate import aggregate
from perturbench_lamin.evaluation.cells import open_cells
from perturbench_lamin.evaluation.groups import group_cells

STORAGES = {
    "csr": sparse.csr_matrix,
    "csr_array": sparse.csr_array,
    "csc": sparse.csc_matrix,
    "dense": lambda X: X.toarray(),
    "fortran": lambda X: np.asfortranarray(X.toarray()),
    "float64": lambda X: X.astype(np.float64),
}


def stored_as(adata, storage):
    return AnnData(STORAGES[storage](adata.X), obs=adata.obs, var=adata.var)


def plain_moments(X, codes, n_groups):
    dense = X.toarray().astype(np.float64)
    members = [dense[codes == group] for group in range(n_groups)]
    return np.stack([m.mean(axis=0) for m in members]), np.stack([m.var(axis=0, ddof=1) for m in members])


def moments_of(source, codes, n_groups):
    with open_cells(source, "test") as cells:
        return aggregate(cells, codes, n_groups, variances=True)


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 1000), storage=st.sampled_from(sorted(STORAGES)))
def test_means_and_variances_are_those_of_numpy(seed, storage):
    adata = make_cells(seed)
    codes = np.random.default_rng(seed).permutation(np.arange(adata.n_obs) % 5 - 1)
    moments = moments_of(stored_as(adata, storage), codes, 4)
    means, variances = plain_moments(adata.X, codes, 4)
    np.testing.assert_allclose(moments.means, means, rtol=1e-13)
    np.testing.assert_allclose(moments.variances, variances, rtol=1e-10, atol=1e-13)
    np.testing.assert_array_equal(moments.counts, np.bincount(codes[codes >= 0]))


@pytest.mark.parametrize("storage", ["csr", "csc", "dense"])
def test_a_file_read_in_blocks_gives_the_same_bits(tmp_path, monkeypatch, storage):
    adata = stored_as(make_cells(3), storage)
    codes = group_cells(adata.obs, KEYS).codes
    whole = moments_of(adata, codes, codes.max() + 1)
    adata.write_h5ad(tmp_path / "cells.h5ad")
    seen = []
    monkeypatch.setattr(cells_module, "BLOCK_VALUES", 50)
    with open_cells(tmp_path / "cells.h5ad", "test") as cells:
        blocks = aggregate(cells, codes, codes.max() + 1, variances=True, inspect=lambda block: seen.append(block))
    assert len(seen) > 5
    np.testing.assert_array_equal(blocks.means, whole.means)
    np.testing.assert_array_equal(blocks.variances, whole.variances)


def test_repeated_entries_are_added_before_they_are_squared():
    X = sparse.csr_matrix((np.array([1.0, 2.0, 1.0]), np.array([0, 0, 0]), np.array([0, 2, 3])), shape=(2, 1))
    moments = moments_of(AnnData(X), np.array([0, 0]), 1)
    assert moments.means[0, 0] == 2.0
    assert moments.variances[0, 0] == 2.0
    assert X.nnz == 3, "the caller's matrix stays as it was"


def test_equal_cells_have_no_variance_and_one_cell_has_none_to_speak_of():
    moments = moments_of(AnnData(np.full((4, 2), 0.1)), np.array([0, 0, 0, 1]), 2)
    assert (moments.variances[0] == 0).all()
    assert np.isnan(moments.variances[1]).all()


@pytest.mark.parametrize("storage", ["csr", "csc", "dense"])
def test_values_that_are_not_finite_are_counted(storage):
    adata = make_cells(0)
    adata.X.data[[3, 7]] = [np.nan, np.inf]
    with pytest.raises(InputError, match=r"1 NaN and 1 infinite values in [12] cells"):
        moments_of(stored_as(adata, storage), np.zeros(adata.n_obs, dtype=int), 1)


def test_integer_counts_in_dense_matrices_are_read_as_floating_point():
    assert moments_of(AnnData(np.array([[1], [2]])), np.array([0, 0]), 1).means[0, 0] == 1.5


@settings(max_examples=25, deadline=None)
@given(
    rows=st.lists(st.tuples(st.sampled_from(["a", "a_b", "b"]), st.sampled_from(["c", "b_c", "control"])), min_size=1)
)
def test_groups_are_the_distinct_pairs(rows):
    obs = pd.DataFrame(rows, columns=["cell_type", "condition"])
    groups = group_cells(obs, KEYS)
    expected = [((state,), condition) for state, condition in rows]
    assert [groups.pairs[code] for code in groups.codes] == expected
    assert list(groups.pairs) == sorted(set(expected))
    as_category = group_cells(obs.astype("category"), KEYS)
    assert as_category.pairs == groups.pairs
    np.testing.assert_array_equal(as_category.codes, groups.codes)


def test_covariates_may_be_numbers_or_absent():
    obs = pd.DataFrame({"condition": ["x", "y"], "dose": [10, 2]})
    with_dose = group_cells(obs, type(KEYS)(covariates=("dose",)))
    assert with_dose.pairs == ((("10",), "x"), (("2",), "y"))
    assert group_cells(obs, type(KEYS)(covariates=())).pairs == (((), "x"), ((), "y"))
