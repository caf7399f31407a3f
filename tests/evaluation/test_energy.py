"""The energy statistic and the PCA space."""

import numpy as np
import pytest
from evaluation_cells import make_cells
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import cdist
from sklearn.decomposition import PCA

from perturbench_lamin.errors import InputError
from perturbench_lamin.evaluation import energy as module
from perturbench_lamin.evaluation.cells import open_cells
from perturbench_lamin.evaluation.energy import energy, energy_pairs, mean_distances
from perturbench_lamin.evaluation.pca import fit_basis, project_cells


def groups(seed, sizes, dimensions=4):
    rng = np.random.default_rng(seed)
    return [rng.normal(size=(size, dimensions)) for size in sizes]


def plain_energy(x, y):
    return cdist(x, y).mean() - cdist(x, x).mean() / 2 - cdist(y, y).mean() / 2


@settings(max_examples=20, deadline=None)
@given(
    seed=st.integers(0, 1000),
    sizes=st.lists(st.tuples(st.integers(1, 9), st.integers(1, 9)), min_size=1, max_size=6),
    tile=st.integers(1, 12),
)
def test_is_the_definition_however_it_is_tiled(seed, sizes, tile):
    truth, prediction = groups(seed, [t for t, _ in sizes]), groups(seed + 1, [p for _, p in sizes])
    whole, module.TILE_CELLS = module.TILE_CELLS, tile
    try:
        pairs = energy_pairs(truth, prediction)
    finally:
        module.TILE_CELLS = whole
    expected = [[plain_energy(x, y) for y in truth] for x in prediction]
    np.testing.assert_allclose(pairs, expected, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(energy(truth, prediction), np.diag(expected), rtol=1e-10, atol=1e-12)


def test_two_points():
    assert energy([np.array([[0.0, 0.0]])], [np.array([[3.0, 4.0]])])[0] == 5.0
    assert energy([np.array([[0.0], [2.0]])], [np.array([[0.0], [2.0]])])[0] == 0.0


def test_equal_cells_far_from_the_origin_have_no_distance():
    cells = np.full((3, 5), 1e4 / 3)
    assert mean_distances([cells], [cells])[0, 0] == 0.0
    near = cells + 1e-7
    np.testing.assert_allclose(mean_distances([cells], [near])[0, 0], cdist(cells, near).mean(), rtol=1e-6)


def test_principal_components_are_those_of_scikit_learn():
    adata = make_cells(0, cells=20)
    order = np.argsort(adata.var_names)[::-1]
    with open_cells(adata, "test") as cells:
        basis = fit_basis(cells, order, 5)
        projected = project_cells(cells, basis, order, np.zeros(adata.n_obs, dtype=int), 1)[0]
    dense = adata.X.toarray().astype(np.float64)
    expected = PCA(5, svd_solver="full").fit(dense[:, order])
    np.testing.assert_allclose(np.abs(basis.components.T), np.abs(expected.components_), atol=1e-9)
    np.testing.assert_allclose(np.abs(projected), np.abs(expected.transform(dense[:, order])), atol=1e-9)
    np.testing.assert_allclose(basis.project(dense[:, order]), projected, atol=1e-12)


def test_components_are_at_most_what_the_cells_span():
    adata = make_cells(0, conditions=1, states=1, cells=2)
    with open_cells(adata, "test") as cells:
        assert fit_basis(cells, np.arange(12), 256).components.shape == (12, 3)
    with open_cells(adata[:1], "test") as cells, pytest.raises(InputError, match="too few"):
        fit_basis(cells, np.arange(12), 256)


def test_projected_cells_are_grouped_in_their_order():
    adata = make_cells(1)
    codes = np.random.default_rng(0).integers(-1, 4, adata.n_obs)
    codes[codes == 2] = 1  # a group without cells
    order = np.arange(adata.n_vars)
    with open_cells(adata, "test") as cells:
        basis = fit_basis(cells, order, 3)
        found = project_cells(cells, basis, order, codes, 4)
    assert [len(group) for group in found] == [(codes == code).sum() for code in range(4)]
    dense = adata.X.toarray()
    for code in range(4):
        np.testing.assert_allclose(found[code], basis.project(dense[codes == code]), atol=1e-6)
