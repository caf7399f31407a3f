"""Sources: every view reads what the same indexing of the matrix in memory gives."""

from __future__ import annotations

import anndata as ad
import h5py
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from perturbench_lamin.curation import transposed
from perturbench_lamin.curation.source import MatrixSource
from perturbench_lamin.curation.source_h5ad import H5adSource
from perturbench_lamin.curation.source_views import concatenate
from perturbench_lamin.errors import InputError, IntegrityError


def counts(cells: int, genes: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).poisson(0.4, (cells, genes)).astype(np.float32)


def names(prefix: str, n: int) -> list[str]:
    return [f"{prefix}{i}" for i in range(n)]


def source_of(matrix, prefix: str = "c") -> MatrixSource:
    return MatrixSource(matrix, names(prefix, matrix.shape[0]), names("g", matrix.shape[1]))


def write_csc(path, matrix):
    tables = pd.DataFrame(index=names("c", matrix.shape[0])), pd.DataFrame(index=names("g", matrix.shape[1]))
    ad.AnnData(sparse.csc_matrix(matrix), *tables).write_h5ad(path)
    return path


def everything(source, n_rows: int | None = None) -> np.ndarray:
    starts, chunks = zip(*source.row_chunks(n_rows), strict=True)
    assert list(starts) == list(np.cumsum([0, *(chunk.shape[0] for chunk in chunks)])[:-1])
    assert all(chunk.has_canonical_format and chunk.indices.dtype == np.int32 for chunk in chunks)
    return sparse.vstack(chunks).toarray()


@pytest.mark.parametrize("make", [np.asarray, sparse.csr_matrix, sparse.csc_matrix])
@pytest.mark.parametrize("n_rows", [None, 1, 7, 100])
def test_a_matrix_in_memory_reads_back(make, n_rows):
    matrix = counts(20, 9)
    np.testing.assert_array_equal(everything(source_of(make(matrix)), n_rows), matrix)


@pytest.mark.parametrize("make", [np.asarray, sparse.csr_matrix, sparse.csc_matrix])
@pytest.mark.parametrize("layer", ["X", "counts", "other"])
def test_an_h5ad_file_reads_back(tmp_path, make, layer):
    matrix = counts(20, 9)
    obs, var = pd.DataFrame(index=names("c", 20)), pd.DataFrame(index=names("g", 9))
    data = ad.AnnData(make(matrix) if layer == "X" else make(matrix * 0), obs, var)
    if layer != "X":
        data.layers[layer] = make(matrix)
    data.write_h5ad(tmp_path / "a.h5ad")
    with H5adSource(tmp_path / "a.h5ad", layer="other" if layer == "other" else None) as source:
        np.testing.assert_array_equal(everything(source, 6), matrix)
        assert list(source.obs_names) == names("c", 20)
        assert source.matrix_path == ("X" if layer == "X" else f"layers/{layer}")


@pytest.mark.parametrize(("band", "piece"), [(1, 1), (7, 3), (50, 1000), (1000, 50)])
@pytest.mark.parametrize("n_rows", [1, 6, 100])
def test_a_matrix_by_genes_is_read_by_cells_in_bands(tmp_path, monkeypatch, band, piece, n_rows):
    monkeypatch.setattr(transposed, "BAND_ENTRIES", band)
    monkeypatch.setattr(transposed, "SLICE_ENTRIES", piece)
    matrix = counts(20, 9)
    matrix[[0, 7, 8, 19]] = 0
    path = write_csc(tmp_path / "a.h5ad", matrix)
    with H5adSource(path) as source:
        np.testing.assert_array_equal(everything(source, n_rows), matrix)
        np.testing.assert_array_equal(source.read_rows(9, 15).toarray(), matrix[9:15])
        np.testing.assert_array_equal(everything(source.select_cells([19, 3, 3])), matrix[[19, 3, 3]])


def test_an_empty_matrix_by_genes_reads_back(tmp_path):
    with H5adSource(write_csc(tmp_path / "a.h5ad", np.zeros((4, 3), dtype=np.float32))) as source:
        np.testing.assert_array_equal(everything(source), np.zeros((4, 3)))
        assert source.read_rows(2, 2).shape == (0, 3)


@pytest.mark.parametrize(
    ("name", "what"), [("indices", "cell number is outside 0 to 19"), ("indptr", "column pointers")]
)
def test_a_corrupt_matrix_by_genes_is_refused(tmp_path, name, what):
    path = write_csc(tmp_path / "a.h5ad", counts(20, 9))
    with h5py.File(path, "r+") as file:
        file["X"][name][-1] = 99
    with pytest.raises(IntegrityError, match=what), H5adSource(path) as source:
        everything(source)


@given(st.data())
@settings(max_examples=100, deadline=None)
def test_views_equal_indexing(data):
    matrix = counts(12, 8, data.draw(st.integers(0, 5)))
    cells = data.draw(st.lists(st.integers(0, 11), min_size=1, max_size=20))
    genes = data.draw(st.lists(st.integers(0, 7), min_size=1, max_size=8, unique=True))
    view = source_of(sparse.csr_matrix(matrix)).select_cells(cells).select_genes(genes)
    np.testing.assert_array_equal(everything(view, data.draw(st.integers(1, 6))), matrix[np.ix_(cells, genes)])
    assert list(view.obs_names) == [f"c{i}" for i in cells]
    assert list(view.var_names) == [f"g{i}" for i in genes]


def test_repeated_rows_as_many_as_their_range():
    matrix = counts(4, 3)
    rows = [0, 0, 0, 3]
    np.testing.assert_array_equal(everything(source_of(sparse.csr_matrix(matrix)).select_cells(rows)), matrix[rows])


def test_far_rows_are_read_in_runs():
    matrix = counts(500, 5)
    rows = np.array([499, 0, 1, 300, 2])
    np.testing.assert_array_equal(everything(source_of(sparse.csr_matrix(matrix)).select_cells(rows)), matrix[rows])


def test_masks_select():
    matrix = counts(10, 4)
    mask = np.arange(10) % 3 == 0
    np.testing.assert_array_equal(everything(source_of(matrix).select_cells(mask)), matrix[mask])


def test_duplicate_and_unsorted_entries_become_canonical():
    matrix = sparse.csr_matrix((np.array([1.0, 2.0, 3.0]), np.array([2, 0, 2]), np.array([0, 3])), shape=(1, 3))
    np.testing.assert_array_equal(everything(source_of(matrix)), [[2, 0, 4]])
    np.testing.assert_array_equal(matrix.data, [1, 2, 3])  # the caller's matrix is left alone


def test_concatenation_joins_genes():
    left, right = counts(4, 3), counts(5, 3, 1)
    a, b = source_of(left, "a"), source_of(right, "b").rename(genes=["g1", "g2", "x"])
    inner, outer = concatenate([a, b], join="inner"), concatenate([a, b], join="outer")
    assert list(inner.var_names) == ["g1", "g2"]
    assert list(outer.var_names) == ["g0", "g1", "g2", "x"]
    np.testing.assert_array_equal(everything(inner, 2), np.vstack([left[:, 1:], right[:, :2]]))
    expected = np.zeros((9, 4))
    expected[:4, :3], expected[4:, 1:] = left, right
    np.testing.assert_array_equal(everything(outer, 4), expected)
    assert list(inner.obs_names) == names("a", 4) + names("b", 5)


@pytest.mark.parametrize("n_rows", [1, 3, 4, 100])
def test_concatenation_of_same_genes(n_rows):
    parts = [counts(4, 3), counts(1, 3, 1), counts(6, 3, 2)]
    joined = concatenate([source_of(part) for part in parts])
    np.testing.assert_array_equal(everything(joined, n_rows), np.vstack(parts))


def test_names_change_by_mapping():
    renamed = source_of(counts(2, 3)).rename(genes={"g1": "TP53"}, cells=["x", "y"])
    assert list(renamed.var_names) == ["g0", "TP53", "g2"]
    assert list(renamed.obs_names) == ["x", "y"]


@pytest.mark.parametrize(
    ("call", "what"),
    [
        (lambda s: s.select_cells([0, 99]), "numbers from 0"),
        (lambda s: s.select_cells(np.array([True])), "mask has 1 values"),
        (lambda s: s.select_genes([1, 1]), "more than once"),
        (lambda s: s.rename(genes={"nope": "x"}), "unknown"),
        (lambda s: s.rename(cells=["x"]), "1 new names"),
        (lambda s: concatenate([]), "No source"),
        (lambda s: concatenate([s, s.select_genes([1, 0])]), "other genes"),
        (lambda s: MatrixSource(np.zeros((2, 2)), ["a"], ["g", "h"]), "shape"),
    ],
)
def test_wrong_requests_are_refused(call, what):
    with pytest.raises(InputError, match=what):
        call(source_of(counts(4, 3)))


def test_unreadable_files_are_refused(tmp_path):
    with pytest.raises(InputError, match="No such file"):
        H5adSource(tmp_path / "none.h5ad")
    (tmp_path / "bad.h5ad").write_bytes(b"not hdf5")
    with pytest.raises(IntegrityError, match="HDF5"):
        H5adSource(tmp_path / "bad.h5ad")
    ad.AnnData(counts(3, 2), pd.DataFrame(index=list("abc")), pd.DataFrame(index=list("gh"))).write_h5ad(
        tmp_path / "a.h5ad"
    )
    with pytest.raises(InputError, match="No layer 'count'"):
        H5adSource(tmp_path / "a.h5ad", layer="count")


def test_corrupt_gene_numbers_are_refused():
    matrix = sparse.csr_matrix(counts(3, 4))
    matrix.indices[0] = 99
    with pytest.raises(InputError, match="outside 0 to 3"):
        everything(source_of(matrix))
