from __future__ import annotations

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from tiny_curated import Tiny, random_split, write

from perturbench_lamin.errors import InputError, IntegrityError
from perturbench_lamin.loading.curated import curated, read_curated, split_labels
from perturbench_lamin.loading.some_rows import read_some


def test_what_was_written_is_read(tmp_path):
    data = Tiny().data()
    read = read_curated(write(data, tmp_path / "tiny.h5ad"))
    assert read.genes == data.genes
    assert read.info == data.info
    assert read.X.dtype == np.float32
    np.testing.assert_array_equal(read.X.toarray(), data.X.toarray())
    pd.testing.assert_frame_equal(read.obs, data.obs, check_names=False)


@pytest.mark.parametrize("convert", [sparse.csc_matrix, np.asarray])
def test_columns_first_or_dense_expression_is_read_as_the_same(tmp_path, convert):
    data = Tiny().data()
    adata = ad.AnnData(convert(data.X.toarray()), obs=data.obs, var=pd.DataFrame(index=list(data.genes)))
    adata.uns["perturbench"] = data.info.to_uns()
    adata.write_h5ad(tmp_path / "other.h5ad")
    np.testing.assert_array_equal(read_curated(tmp_path / "other.h5ad").X.toarray(), data.X.toarray())


def test_entries_that_occur_twice_are_added():
    data = Tiny(n_genes=2, cells=1, controls=1, n_tokens=1, n_pairs=0, cell_types=("a",)).data()
    doubled = sparse.csr_matrix((np.array([0.5, 2, 3], "f4"), np.array([1, 1, 0]), np.array([0, 2, 3])), shape=(2, 2))
    read = curated(doubled, data.obs, data.genes, data.info)
    np.testing.assert_array_equal(read.X.toarray(), [[0, 2.5], [3, 0]])
    assert doubled.nnz == 3, "the caller's matrix must not change"


def test_errors_of_files(tmp_path):
    with pytest.raises(InputError, match="No such curated file"):
        read_curated(tmp_path / "none.h5ad")
    (tmp_path / "text.h5ad").write_text("cell,gene\n")
    with pytest.raises(IntegrityError, match="Not an HDF5 file"):
        read_curated(tmp_path / "text.h5ad")
    ad.AnnData(np.ones((2, 2), "f4")).write_h5ad(tmp_path / "plain.h5ad")
    with pytest.raises(InputError, match="not a curated file"):
        read_curated(tmp_path / "plain.h5ad")


def test_errors_of_contents():
    data = Tiny().data()
    broken = data.X.copy()
    broken.data[3] = np.nan
    with pytest.raises(InputError, match="NaN or infinite"):
        curated(broken, data.obs, data.genes, data.info)
    with pytest.raises(InputError, match="integer counts"):
        curated(np.rint(data.X.toarray()), data.obs, data.genes, data.info)
    with pytest.raises(InputError, match="more than once"):
        curated(data.X, data.obs, ["g"] * len(data.genes), data.info)
    with pytest.raises(InputError, match="No column 'cell_type'"):
        curated(data.X, data.obs.drop(columns="cell_type"), data.genes, data.info)


@pytest.mark.parametrize("memory", ["memory", "compact", "disk"])
@pytest.mark.parametrize("rounding", [0, 1e-9])
def test_counts_in_place_of_logarithms_are_refused_however_low(tmp_path, memory, rounding):
    data = Tiny().data()
    counts = np.minimum(np.rint(np.expm1(data.X.toarray())), 3).astype(np.float64) * (1 + rounding)
    adata = ad.AnnData(sparse.csr_matrix(counts), obs=data.obs, var=pd.DataFrame(index=list(data.genes)))
    adata.uns["perturbench"] = data.info.to_uns()
    adata.write_h5ad(tmp_path / "counts.h5ad")
    with pytest.raises(InputError, match=r"integer counts \(highest: 3\) \[.*counts.h5ad, X\]"):
        read_curated(tmp_path / "counts.h5ad", memory=memory)
    with pytest.raises(InputError, match=r"integer counts \(highest: 3\) \[.*counts.h5ad, X\]"):
        read_some(tmp_path / "counts.h5ad", np.arange(5))


def test_labels_come_in_the_order_of_the_cells():
    data = Tiny().data()
    split = random_split(data)
    expected = split.to_numpy()
    np.testing.assert_array_equal(split_labels(split.sample(frac=1, random_state=1), data), expected)
    np.testing.assert_array_equal(
        split_labels(split.replace("test", np.nan), data), np.where(expected == "test", "", expected)
    )


def test_a_split_of_other_cells_or_with_other_words_is_an_error():
    data = Tiny().data()
    split = random_split(data)
    with pytest.raises(InputError, match=r"lacks 1 of the file's .* cells and has 0 others"):
        split_labels(split.iloc[1:], data)
    with pytest.raises(InputError, match=r"lacks 1 .* and has 1 others"):
        split_labels(split.rename({"cell0": "strange"}), data)
    with pytest.raises(InputError, match="Unknown labels in the split: training"):
        split_labels(split.replace("train", "training"), data)
    with pytest.raises(InputError, match="more than once"):
        split_labels(pd.concat([split, split.iloc[:1]]), data)
