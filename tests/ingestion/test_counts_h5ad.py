import anndata as ad
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

from perturbench_lamin.curation.source_h5ad import H5adSource
from perturbench_lamin.errors import InputError
from perturbench_lamin.ingestion.counts_h5ad import find_counts, other_value, write_counts
from perturbench_lamin.ingestion.scperturb import open_h5ad
from perturbench_lamin.storage.anndata_file import AnnDataFile


@pytest.fixture
def counts():
    return sp.csr_matrix(np.random.default_rng(0).poisson(0.5, (7, 5)).astype(np.float32))


def names(n, letter):
    return pd.Index([f"{letter}{i}" for i in range(n)])


def deposit(path, x, *, layer=None, raw=None):
    obs, var = pd.DataFrame(index=names(7, "c")), pd.DataFrame(index=names(x.shape[1], "g"))
    adata = ad.AnnData(x, obs=obs, var=var)
    if raw is not None:
        adata.raw = ad.AnnData(raw, obs=obs, var=pd.DataFrame({"id": "x"}, index=names(raw.shape[1], "g")))
    if layer is not None:
        adata.layers["counts"] = layer
    adata.write_h5ad(path)
    return path


def test_written_counts_are_read_by_rows(tmp_path, counts):
    path = write_counts(tmp_path / "a.h5ad", counts, names(7, "c"), names(5, "g"))
    with H5adSource(path) as source:
        assert list(source.obs_names) == [f"c{i}" for i in range(7)]
        assert list(source.var_names) == [f"g{i}" for i in range(5)]
        assert (source.read_rows(2, 6) != counts[2:6]).nnz == 0


@pytest.mark.parametrize("convert", [sp.csr_matrix, sp.csc_matrix, lambda x: x.toarray()])
def test_counts_are_found_where_they_are(tmp_path, counts, convert):
    logs = convert(counts.log1p())
    assert find_counts(deposit(tmp_path / "x.h5ad", convert(counts))) == "X"
    assert find_counts(deposit(tmp_path / "layer.h5ad", logs, layer=convert(counts))) == "layers/counts"
    assert find_counts(deposit(tmp_path / "raw.h5ad", logs, raw=convert(counts))) == "raw/X"


def test_no_counts_says_what_was_seen(tmp_path, counts):
    path = deposit(tmp_path / "a.h5ad", counts.log1p(), layer=counts * 0.5)
    with pytest.raises(InputError, match=r"in X, 0\.5 in layers/counts"):
        find_counts(path)


def test_raw_counts_are_read_with_their_own_genes(tmp_path, counts):
    path = deposit(tmp_path / "deposit.h5ad", counts[:, :3].log1p(), raw=counts)
    with H5adSource(path, layer="raw/X") as source:
        assert source.shape == (7, 5)
        assert list(source.var.columns) == ["id"]
        assert (source.read_rows(0, 7) != counts).nnz == 0
    adata = ad.read_h5ad(path)
    adata.obs["perturbation"] = "control"
    adata.write_h5ad(path)
    assert open_h5ad(path, matrix="raw/X").var.index.tolist() == [f"g{i}" for i in range(5)]


@pytest.mark.parametrize("value", [0.5, -1.0, np.nan, np.inf])
@pytest.mark.parametrize("place", [0, -1])
@pytest.mark.parametrize("convert", [sp.csr_matrix, np.asarray])
def test_the_first_and_the_last_values_are_looked_at(value, place, convert, tmp_path):
    values = np.ones((2_000, 100), dtype=np.float32)
    values[place, place] = value
    ad.AnnData(convert(values)).write_h5ad(tmp_path / "a.h5ad")
    with AnnDataFile(tmp_path / "a.h5ad") as file:
        found = other_value(file.matrix("X"))
    assert found == value or (np.isnan(value) and np.isnan(found))


def test_no_value_is_no_other_value(tmp_path):
    ad.AnnData(np.zeros((0, 100), dtype=np.float32)).write_h5ad(tmp_path / "a.h5ad")
    with AnnDataFile(tmp_path / "a.h5ad") as file:
        assert other_value(file.matrix("X")) is None
