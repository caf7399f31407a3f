"""Embeddings of the cells that a model reads: always of the same cells as its expression input."""

from __future__ import annotations

from dataclasses import replace

import anndata as ad
import numpy as np
import pytest
import torch
from tiny_curated import Tiny, random_split, write

from perturbench_lamin.errors import InputError
from perturbench_lamin.loading.batches import BatchLoader, ControlMatched, Disentanglement
from perturbench_lamin.loading.counterfactuals import Counterfactuals
from perturbench_lamin.loading.curated import CuratedData, read_curated, with_embedding
from perturbench_lamin.loading.datamodule import PerturbationData
from perturbench_lamin.loading.vocabulary import Vocabulary

PLAIN = Tiny(treatments=("none", "drug")).data()
SPLIT = random_split(PLAIN)


def sums(X) -> np.ndarray:
    """An embedding that says which cell it is of: a cell's sum, and its first two genes."""
    dense = np.asarray(X)
    return np.column_stack([dense.sum(1), dense[:, :2]]).astype(np.float32)


def embedded() -> CuratedData:
    return with_embedding(PLAIN, "X_sums", {"X_sums": sums(PLAIN.X.toarray())})


@pytest.mark.parametrize("kind", [ControlMatched, Disentanglement])
@pytest.mark.parametrize("which", ["train", "val"])
def test_embeddings_are_of_the_cells_that_the_model_reads(kind, which):
    cells = getattr(PerturbationData(embedded(), SPLIT), which)
    loader = BatchLoader(kind(cells), batch_size=17, seed=3, shuffle=True)
    for epoch in (0, 1):
        loader.set_epoch(epoch)
        for batch in loader:
            np.testing.assert_allclose(batch.embeddings.numpy(), sums(batch.controls.numpy()), rtol=1e-5)
            if kind is ControlMatched:
                assert not np.allclose(batch.embeddings.numpy(), sums(batch.target.numpy()))


def test_counterfactual_batches_too():
    task = Counterfactuals(PerturbationData(embedded(), SPLIT).val, batch_size=3, max_control_cells=5)
    for group in task.groups():
        for batch in task.batches(group):
            np.testing.assert_allclose(batch.embeddings.numpy(), sums(batch.controls.numpy()), rtol=1e-5)


def test_an_embedding_changes_neither_order_nor_draws():
    pairs = zip(*(BatchLoader(ControlMatched(PerturbationData(data, SPLIT).train), batch_size=9, seed=1, shuffle=True)
                  for data in (PLAIN, embedded())), strict=True)  # fmt: skip
    for plain, more in pairs:
        assert plain.embeddings is None
        assert torch.equal(plain.controls, more.controls)
        assert torch.equal(plain.target, more.target)


def test_batches_move_with_their_embeddings():
    batch = next(iter(PerturbationData(embedded(), SPLIT).val_dataloader()))
    assert batch.to("meta").embeddings.device.type == "meta"


def test_the_vocabulary_says_the_width():
    vocabulary = PerturbationData(embedded(), SPLIT).vocabulary
    assert vocabulary.embeddings == {"X_sums": 3}
    assert Vocabulary.from_dict(vocabulary.to_dict()) == vocabulary
    old = vocabulary.to_dict()
    del old["embeddings"]  # of a checkpoint written before there were any
    assert Vocabulary.from_dict(old) == replace(vocabulary, embeddings={})


def test_reading_a_file(tmp_path):
    path = write(PLAIN, tmp_path / "tiny.h5ad")
    adata = ad.read_h5ad(path)
    adata.obsm["X_sums"] = sums(PLAIN.X.toarray()).astype(np.float64)
    adata.write_h5ad(path)
    data = read_curated(path, embedding="X_sums")
    np.testing.assert_array_equal(data.embedding, embedded().embedding)
    assert data.embedding.dtype == np.float32
    assert read_curated(path).embedding is None
    with pytest.raises(InputError, match=r"No embedding 'X_sum'.*\n.*Did you mean X_sums"):
        read_curated(path, embedding="X_sum")


@pytest.mark.parametrize(
    "values", [np.zeros((3, 2)), np.zeros(len(PLAIN.obs)), np.full((len(PLAIN.obs), 1), np.nan), np.array([["a"]])]
)
def test_what_is_no_embedding(values):
    with pytest.raises(InputError, match="not a matrix of finite numbers"):
        with_embedding(PLAIN, "X", {"X": values})


def test_cells_with_each_token():
    train = PerturbationData(PLAIN, SPLIT).train
    rows = train.perturbations[train.condition]
    assert train.cells_with_token().tolist() == rows.sum(0).astype(int).tolist()
