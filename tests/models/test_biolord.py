from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from model_tools import SMALL, fresh
from plain_networks import mlp_size, n_parameters, numbers, plain_mlp, softplus
from tiny_curated import Tiny

from perturbench_lamin.conditions import ObsKeys
from perturbench_lamin.loading.batches import Batch, BatchLoader, Disentanglement
from perturbench_lamin.loading.curated import CuratedData
from perturbench_lamin.loading.dataset import SplitData
from perturbench_lamin.loading.vocabulary import Vocabulary

TWO = Tiny(treatments=("none", "drug", "both")).data()
VALUES = SMALL["biolord"] | {"penalty_weight": 2.5, "noise": 0.3}


def renamed() -> CuratedData:
    """The only covariate is not called cell_type."""
    data = Tiny().data()
    obs = data.obs.rename(columns={"cell_type": "cytokine"}).drop(columns="treatment")
    return replace(data, obs=obs, info=replace(data.info, keys=ObsKeys(covariates=("cytokine",))))


def batch_of(data: CuratedData, size: int = 30) -> Batch:
    vocabulary = Vocabulary.from_cells(data.obs, data.genes, data.info)
    cells = SplitData.build(data, np.full(len(data.obs), "train", dtype=object), "train", vocabulary)
    return next(iter(BatchLoader(Disentanglement(cells), batch_size=size, seed=0, shuffle=True)))


@pytest.mark.parametrize(("data", "widths"), [(TWO, (2, 3)), (renamed(), (2,))])
def test_parameter_counts(data, widths):
    model, vocabulary = fresh("biolord", data, VALUES)
    genes, tokens = len(vocabulary.genes), len(vocabulary.perturbations)
    expected = mlp_size(genes, 48, 12, 1) + mlp_size(tokens, 48, 12, 1) + sum(widths) * 12
    assert n_parameters(model) == expected + mlp_size(12 * (2 + len(widths)), 48, genes, 1)


def plain(model, batch: Batch, noise: np.ndarray | float) -> tuple[np.ndarray, float]:
    """The cells, and the penalty; each covariate is looked up by its number."""
    x, p, c = numbers(batch)
    embedded, start = [], 0
    for table in model.covariate_embeddings:
        values = c[:, start : start + len(table)].argmax(1)
        embedded.append(table.detach().double().numpy()[values])
        start += len(table)
    code = plain_mlp(model.cell_encoder, x) + 0.3 * noise
    latent = np.hstack([code, plain_mlp(model.perturbation_encoder, p), *embedded])
    return softplus(plain_mlp(model.decoder, latent)), sum((values**2).sum() for values in embedded)


@pytest.mark.parametrize("data", [TWO, renamed()])
@pytest.mark.parametrize("size", [1, 30])
def test_loss_and_prediction_are_the_formulas(data, size):
    model, _ = fresh("biolord", data, VALUES)
    batch = batch_of(data, size)
    np.testing.assert_allclose(model.predict(batch).detach().numpy(), plain(model, batch, 0)[0], rtol=1e-4, atol=1e-5)
    torch.manual_seed(4)
    loss = model.loss(batch).item()
    torch.manual_seed(4)
    rebuilt, penalty = plain(model, batch, torch.randn(size, 12).double().numpy())
    expected = ((rebuilt - batch.target.numpy()) ** 2).sum(1).mean() + 2.5 * penalty
    np.testing.assert_allclose(loss, expected, rtol=1e-4)


def test_a_sampled_prediction_is_reproducible():
    noisy, _ = fresh("biolord", TWO, VALUES | {"sample_prediction": True})
    still, _ = fresh("biolord", TWO, VALUES)
    batch = batch_of(TWO)
    assert torch.equal(noisy.predict(batch), noisy.predict(batch))
    assert not torch.equal(noisy.predict(batch), still.predict(batch))


def test_embeddings_start_as_standard_normal_numbers():
    model, _ = fresh("biolord", TWO, VALUES | {"latent_dim": 4000})
    for table in model.covariate_embeddings:
        assert abs(float(table.detach().mean())) < 0.1
        assert abs(float(table.detach().std()) - 1) < 0.1
