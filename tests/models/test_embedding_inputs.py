from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from model_tools import SMALL, fitted, module
from plain_networks import cpa_encoder_size, mlp_size, n_parameters
from tiny_curated import Tiny, random_split

from perturbench_lamin.errors import InputError
from perturbench_lamin.loading.curated import with_embedding
from perturbench_lamin.models.registry import build

PLAIN = Tiny().data()
SPLIT = random_split(PLAIN)
VALUES = np.random.default_rng(0).normal(size=(len(PLAIN.obs), 5)).astype(np.float32)
DATA = with_embedding(PLAIN, "X_scgpt", {"X_scgpt": VALUES})
NAMES = ("latent_additive", "cpa")


@pytest.mark.parametrize("name", NAMES)
def test_the_prediction_depends_on_the_embedding_and_not_on_expression(name):
    model, _ = fitted(name, DATA, SPLIT, SMALL[name] | {"embedding": "X_scgpt"}, epochs=2)
    batch = next(iter(module(DATA, SPLIT, name).val_dataloader()))
    predicted = model.predict(batch)
    assert predicted.shape == batch.controls.shape, "the output stays in gene space"
    assert torch.equal(predicted, model.predict(replace(batch, controls=torch.zeros_like(batch.controls))))
    moved = model.predict(replace(batch, embeddings=batch.embeddings + 1))
    assert not torch.allclose(predicted, moved)
    with pytest.raises(ValueError, match="no embeddings"):
        model.predict(replace(batch, embeddings=None))


def test_parameter_counts():
    vocabulary = module(DATA, SPLIT, "cpa").vocabulary
    latent = build("latent_additive", SMALL["latent_additive"] | {"embedding": "X_scgpt"}, vocabulary)
    c, p, genes = vocabulary.n_covariates, len(vocabulary.perturbations), len(vocabulary.genes)
    expected = mlp_size(5 + c, 48, 12, 1) + mlp_size(p, 48, 12, 1) + mlp_size(12 + c, 48, genes, 1)
    assert n_parameters(latent) == expected
    cpa = build("cpa", SMALL["cpa"] | {"embedding": "X_scgpt"}, vocabulary)
    assert n_parameters(cpa.encoder) == cpa_encoder_size(5, 48, 12, 1)


@pytest.mark.parametrize("name", NAMES)
def test_data_without_the_embedding(name):
    vocabulary = module(PLAIN, SPLIT, name).vocabulary
    with pytest.raises(InputError, match="no embedding 'X_scgpt'"):
        build(name, {"embedding": "X_scgpt"}, vocabulary)
