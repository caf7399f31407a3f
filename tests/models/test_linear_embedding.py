from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch
from model_tools import all_cells, fitted, val_batches
from tiny_curated import Tiny

from perturbench_lamin.errors import InputError
from perturbench_lamin.loading.curated import CuratedData
from perturbench_lamin.models.embedding_file import Embedding, write_embedding
from perturbench_lamin.models.embedding_regression import principal_scores, regress
from perturbench_lamin.models.pretraining import pretrained_embeddings

N_GENES = 30


def measured(tiny: Tiny) -> CuratedData:
    """The genes that the perturbations are named for are measured."""
    data = tiny.data()
    return replace(data, genes=(*tiny.tokens(), *data.genes[len(tiny.tokens()) :]))


TINY = Tiny(n_genes=N_GENES, n_tokens=6, n_pairs=4)
DATA = measured(TINY)
SPLIT = all_cells(DATA)


def means(data: CuratedData, split) -> dict:
    train = (split == "train").to_numpy()
    obs, X = data.obs.astype(str), data.X.toarray().astype(np.float64)
    keys = sorted(set(zip(obs["cell_type"][train], obs["condition"][train], strict=True)))
    return {
        (state, label): X[train & ((obs["cell_type"] == state) & (obs["condition"] == label)).to_numpy()].mean(0)
        for state, label in keys
    }


def plain(changes: np.ndarray, G: np.ndarray, P: np.ndarray, ridge: float) -> tuple[np.ndarray, np.ndarray]:
    """b and W by one big linear system: (PᵀP + λI) ⊗ (GᵀG + λI) vec W = (P ⊗ G)ᵀ vec(Y − b).

    As the published script, with the control of each of two states among the columns: no change, no embedding.
    """
    changes, P = np.hstack([changes, np.zeros((len(changes), 2))]), np.vstack([P, np.zeros((2, P.shape[1]))])
    b = changes.mean(1)
    K, L = G.shape[1], P.shape[1]
    system = np.kron(P.T @ P + ridge * np.eye(L), G.T @ G + ridge * np.eye(K))
    vector = np.kron(P, G).T @ (changes - b[:, None]).ravel(order="F")
    return b, np.linalg.solve(system, vector).reshape(K, L, order="F")


@pytest.mark.parametrize("values", [{}, {"components": 3, "ridge": 2.0, "base": "cells"}])
def test_predictions_are_the_published_formula(values):
    model, _ = fitted("linear_embedding", DATA, SPLIT, values)
    settings = model.settings
    bulks = means(DATA, SPLIT)
    table = np.array(list(bulks.values())).T
    left, sizes, _ = np.linalg.svd(table - table.mean(0), full_matrices=False)
    G = (left * sizes)[:, : settings.components]
    pairs = [(state, token) for state in ("K562", "RPE1") for token in TINY.tokens()]
    Y = np.array([bulks[pair] - bulks[pair[0], "control"] for pair in pairs]).T
    b, W = plain(Y, G, np.array([G[DATA.genes.index(token)] for _, token in pairs]), settings.ridge)
    for batch in val_batches(DATA, SPLIT):
        for row, place in zip(model.predict(batch).numpy(), range(len(batch)), strict=True):
            tokens = [TINY.tokens()[i] for i in np.flatnonzero(batch.perturbations[place].numpy())]
            state = model.vocabulary.states[batch.state_ids[place]][0]
            own = batch.controls[place].numpy() if settings.base == "cells" else bulks[state, "control"]
            expected = own + b + sum(G @ W @ G[DATA.genes.index(token)] for token in tokens)
            np.testing.assert_allclose(row, expected, rtol=1e-4, atol=1e-4)


def test_without_the_controls_among_the_columns_b_is_the_mean_change():
    """n singles and one control a state: b divides by n + 2, or by n."""
    script, _ = fitted("linear_embedding", DATA, SPLIT)
    formula, _ = fitted("linear_embedding", DATA, SPLIT, {"control_column": False})
    bulks = means(DATA, SPLIT)
    pairs = [(state, token) for state in ("K562", "RPE1") for token in TINY.tokens()]
    changes = np.array([bulks[pair] - bulks[pair[0], "control"] for pair in pairs])
    np.testing.assert_allclose(formula.base_change.numpy(), changes.mean(0), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(script.base_change.numpy(), changes.sum(0) / (len(pairs) + 2), rtol=1e-4, atol=1e-5)


def test_regression_recovers_an_exact_factorisation():
    rng = np.random.default_rng(0)
    G, P, W = rng.normal(size=(20, 3)), rng.normal(size=(12, 2)), rng.normal(size=(3, 2))
    P -= P.mean(0)  # so that b is the row mean
    b = rng.normal(size=20)
    base, found = regress(G @ W @ P.T + b[:, None], G, P, ridge=1e-10)
    np.testing.assert_allclose(found, W, rtol=1e-6)
    np.testing.assert_allclose(base, b)


def test_scores_do_not_depend_on_the_sign_of_the_decomposition():
    rows = np.random.default_rng(1).normal(size=(8, 5))
    scores = principal_scores(rows, 2)
    assert (scores[np.abs(scores).argmax(0), range(2)] > 0).all()
    centred = rows - rows.mean(0)
    np.testing.assert_allclose(np.linalg.norm(scores, axis=0), np.linalg.svd(centred)[1][:2])


def test_without_named_genes_it_says_so():
    data = Tiny().data()
    with pytest.raises(InputError, match="0 training perturbations have an embedding"):
        fitted("linear_embedding", data, all_cells(data))


def test_controls_are_predicted_unchanged_and_unmeasured_tokens_get_the_mean_change():
    data = replace(DATA, genes=("G0", "G1", "G2", *DATA.genes[3:-1], "other"))
    data = replace(data, genes=tuple("hidden" if gene == "G5" else gene for gene in data.genes))
    model, _ = fitted("linear_embedding", data, SPLIT)
    batch = val_batches(data, SPLIT)[0]
    none = model.predict(replace(batch, perturbations=torch.zeros_like(batch.perturbations)))
    torch.testing.assert_close(none, model.control_mean[batch.state_ids])
    only = torch.zeros_like(batch.perturbations)
    only[:, 5] = 1
    torch.testing.assert_close(
        model.predict(replace(batch, perturbations=only)) - none, model.base_change.expand_as(none)
    )


@pytest.fixture
def files(tmp_path) -> dict:
    """Embeddings of another dataset with the same perturbations, seen with other noise and in another cell type."""
    other = measured(replace(TINY, seed=0, noise=0.05, cell_types=("HepG2", "A549")))
    genes, perturbations = pretrained_embeddings(other, components=4)
    paths = {"gene_embedding": tmp_path / "genes.npz", "perturbation_embedding": tmp_path / "perturbations.npz"}
    for path, embedding in zip(paths.values(), (genes, perturbations), strict=True):
        write_embedding(path, embedding)
    return {"embeddings": (genes, perturbations), "paths": {name: str(path) for name, path in paths.items()}}


def test_pretrained_embeddings_replace_both_factors(files):
    genes, perturbations = files["embeddings"]
    assert genes.names == DATA.genes
    assert perturbations.names == tuple(TINY.tokens())
    model, _ = fitted("linear_embedding", DATA, SPLIT, files["paths"])
    bulks = means(DATA, SPLIT)
    pairs = [(state, token) for state in ("K562", "RPE1") for token in TINY.tokens()]
    Y = np.array([bulks[pair] - bulks[pair[0], "control"] for pair in pairs]).T
    P = perturbations.values
    b, W = plain(Y, genes.values, P[[TINY.tokens().index(token) for _, token in pairs]], 0.1)
    np.testing.assert_allclose(model.token_changes.numpy(), (genes.values @ W @ P.T).T, rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(model.base_change.numpy(), b, rtol=1e-4, atol=1e-5)


@dataclass(frozen=True)
class TwoPrograms(Tiny):
    """Perturbations that move two programs of genes, each by its own amounts: the same in every dataset."""

    n_genes: int = N_GENES
    n_tokens: int = 12
    n_pairs: int = 11  # all with G0

    def truth(self):
        means, _ = super().truth()
        rng = np.random.default_rng(3)
        programs, amounts = rng.uniform(-1, 1, (2, self.n_genes)), rng.uniform(-1, 1, (self.n_tokens, 2))
        programs -= programs.mean(1, keepdims=True)  # scores of genes are centred: what all genes share is in b alone
        return {state: mean + 3 for state, mean in means.items()}, dict(
            zip(self.tokens(), amounts @ programs, strict=True)
        )


def test_pretraining_predicts_a_perturbation_that_training_saw_in_combination_only(tmp_path):
    """The other dataset tells which perturbations are alike."""
    tiny = TwoPrograms(noise=0.05)
    data, other = tiny.data(), replace(tiny, seed=9, cell_types=("HepG2",)).data()
    _, perturbations = pretrained_embeddings(other, components=2)
    path = write_embedding(tmp_path / "p.npz", perturbations)
    effects = tiny.truth()[1]
    mean = np.mean(list(effects.values()), axis=0)
    unlike = max(effects, key=lambda token: np.linalg.norm(effects[token] - mean) * (token != "G0"))
    split = all_cells(data).mask((data.obs["condition"] == unlike).to_numpy(), "")
    values = {"perturbation_embedding": str(path), "ridge": 1e-3}
    model, _ = fitted("linear_embedding", data, split, values)
    truth, base = effects[unlike], model.base_change.numpy()
    predicted = base + model.token_changes[model.vocabulary.perturbations.index(unlike)].numpy()
    assert np.mean((predicted - truth) ** 2) < 0.2 * np.mean((base - truth) ** 2)


def test_names_that_do_not_match(files, tmp_path):
    genes, _ = files["embeddings"]
    fewer = write_embedding(tmp_path / "fewer.npz", Embedding(genes.names[2:], genes.values[2:]))
    with pytest.raises(InputError, match="2 of 30 names have no row: G0, G1"):
        fitted("linear_embedding", DATA, SPLIT, {"gene_embedding": str(fewer)})
    model, _ = fitted("linear_embedding", DATA, SPLIT, {"gene_embedding": str(fewer), "allow_missing": True})
    assert not model.token_changes[:2].any(), "their perturbations have no row either"
    assert not model.token_changes[:, :2].any()
    assert model.token_changes[2:, 2:].any()
    other = write_embedding(tmp_path / "other.npz", Embedding(("x", "y"), np.eye(2)))
    with pytest.raises(InputError, match="30 of 30 names"):
        fitted("linear_embedding", DATA, SPLIT, {"gene_embedding": str(other), "allow_missing": True})
    with pytest.raises(InputError, match="No such embedding"):
        fitted("linear_embedding", DATA, SPLIT, {"gene_embedding": str(tmp_path / "none.npz")})


@pytest.mark.parametrize("values", [{"components": 0}, {"ridge": 0.0}])
def test_values_out_of_range(values):
    with pytest.raises(InputError, match="must be positive"):
        fitted("linear_embedding", DATA, SPLIT, values)
