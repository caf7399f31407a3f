"""Outer products of sparse cells."""

import numpy as np
import pytest
from scipy import sparse

from perturbench_lamin.evaluation import gram
from perturbench_lamin.evaluation.gram import add_outer_products


@pytest.mark.parametrize("density", [0.0, 0.05, 0.2, 0.9])
@pytest.mark.parametrize("tile", [1, 7, 4096])
def test_sparse_is_dense(density, tile, monkeypatch):
    monkeypatch.setattr(gram, "TILE_CELLS", tile)
    monkeypatch.setattr(gram, "DENSE_VALUES", 90)
    cells = sparse.random(40, 30, density, "csr", random_state=0, dtype=np.float32)
    dense = cells.toarray().astype(np.float64)
    for block in (cells, dense):
        found = np.zeros((30, 30), order="F")
        for part in (slice(0, 25), slice(25, 40)):
            found = add_outer_products(block[part], found)
        np.testing.assert_allclose(np.triu(found), np.triu(dense.T @ dense), rtol=1e-12, atol=1e-15)
        assert (np.tril(found, -1) == 0).all()


def test_indices_out_of_order_do_not_matter():
    cells = sparse.csr_matrix((np.array([2.0, 3.0, 5.0]), np.array([4, 0, 2]), np.array([0, 2, 3])), shape=(2, 50))
    found = add_outer_products(cells, np.zeros((50, 50), order="F"))
    assert (found[0, 4], found[4, 4], found[0, 0], found[2, 2]) == (6.0, 4.0, 9.0, 25.0)
