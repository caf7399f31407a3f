import anndata as ad
import h5py
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

from perturbench_lamin.errors import InputError, IntegrityError
from perturbench_lamin.ingestion.scperturb import open_h5ad


def write(path, x, column="perturbation"):
    obs = pd.DataFrame({column: pd.Categorical(["control"] * x.shape[0])}, index=[f"c{i}" for i in range(x.shape[0])])
    ad.AnnData(x, obs=obs).write_h5ad(path)
    return path


def test_tables_without_the_matrix(tmp_path):
    counts = sp.csr_matrix(np.array([[0, 2], [1, 0], [3, 4]], dtype=np.float32))
    found = open_h5ad(write(tmp_path / "a.h5ad", counts))
    assert found.obs.shape == (3, 1)
    assert found.var.shape == (2, 0)
    assert found.n_values == 4


def test_a_missing_column_names_the_nearest(tmp_path):
    path = write(tmp_path / "a.h5ad", sp.csr_matrix(np.eye(2, dtype=np.float32)), column="perturbations")
    with pytest.raises(InputError, match="Did you mean perturbations"):
        open_h5ad(path)


@pytest.mark.parametrize("value", [0.5, -1.0, np.nan, np.inf])
def test_values_that_are_no_counts_are_named(tmp_path, value):
    x = sp.csr_matrix(np.array([[1, 2], [3, value]], dtype=np.float32))
    with pytest.raises(InputError, match="raw counts"):
        open_h5ad(write(tmp_path / "a.h5ad", x))


@pytest.mark.parametrize(
    ("convert", "layout", "n_values"),
    [(sp.csr_matrix, "csr_matrix", 3), (sp.csc_matrix, "csc_matrix", 3), (np.asarray, "array", 6)],
)
def test_layouts_are_told_apart(tmp_path, convert, layout, n_values):
    found = open_h5ad(write(tmp_path / "a.h5ad", convert(np.array([[0, 2], [1, 0], [3, 0]], dtype=np.float32))))
    assert (found.layout, found.n_values) == (layout, n_values)


def test_another_matrix_than_x(tmp_path):
    path = write(tmp_path / "a.h5ad", sp.csr_matrix(np.eye(2, dtype=np.float32) / 2))
    with h5py.File(path, "a") as file:
        ad.io.write_elem(file["layers"], "counts", sp.csr_matrix(np.eye(2, dtype=np.float32)))
        ad.io.write_elem(file["layers"], "wide", sp.csr_matrix(np.ones((2, 3), dtype=np.float32)))
    assert open_h5ad(path, matrix="layers/counts").n_values == 2
    with pytest.raises(IntegrityError, match=r"layers/wide has shape \(2, 3\), obs and var say \(2, 2\)"):
        open_h5ad(path, matrix="layers/wide")
    with pytest.raises(InputError, match="No matrix 'layers/count'"):
        open_h5ad(path, matrix="layers/count")


def test_a_file_that_is_no_h5ad(tmp_path):
    (tmp_path / "a.h5ad").write_text("no")
    with pytest.raises(IntegrityError):
        open_h5ad(tmp_path / "a.h5ad")


def test_the_real_subset(shared_file):
    found = open_h5ad(shared_file("data/raw/norman19/NormanWeissman2019_filtered.h5ad"))
    assert found.obs.shape == (3375, 11)
    assert found.var.index.name == "gene_symbol"
    assert found.obs["perturbation"].nunique() == 34
