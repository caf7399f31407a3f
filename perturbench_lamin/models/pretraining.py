"""Gene and perturbation embeddings of one dataset, to fit :class:`~.linear_embedding.LinearEmbedding` on another."""

from __future__ import annotations

import numpy as np
from scipy import sparse

from perturbench_lamin.conditions import covariate_states
from perturbench_lamin.errors import InputError
from perturbench_lamin.loading.curated import CuratedData
from perturbench_lamin.loading.vocabulary import State, condition_tokens
from perturbench_lamin.models.embedding_file import Embedding
from perturbench_lamin.models.embedding_regression import COMPONENTS, principal_scores


def pretrained_embeddings(data: CuratedData, *, components: int = COMPONENTS) -> tuple[Embedding, Embedding]:
    """The embeddings of a dataset's genes and of its perturbations.

    Genes: scores in the PCA of the means of all conditions and states. Perturbations: scores in the PCA of the
    changes from control of the singles, averaged over states (Ahlmann-Eltze, Huber & Anders, Nature Methods 2025).

    Args:
        data: a curated file; of it only cells that the model to be fitted may know.
        components: how many principal components at most.

    Raises:
        InputError: fewer than two perturbations have been observed alone in a state with controls.
    """
    means = _means(data)
    genes = principal_scores(np.array(list(means.values())).T, components)
    changes = _changes(means, data)
    if len(changes) < 2:
        raise InputError(
            f"{len(changes)} single perturbations with controls, the embedding takes two", where=data.source
        )
    source = f"pre-trained on {data.info.dataset}"
    perturbations = Embedding(tuple(changes), principal_scores(np.array(list(changes.values())), components), source)
    return Embedding(data.genes, genes, source), perturbations


def _means(data: CuratedData) -> dict[tuple[State, str], np.ndarray]:
    """Means of (state, condition), sorted, in float64."""
    labels = data.obs[data.info.keys.perturbation].astype(str)
    pairs = list(zip(covariate_states(data.obs, data.info.keys.covariates), labels, strict=True))
    names = sorted(set(pairs))
    place = {pair: number for number, pair in enumerate(names)}
    codes = np.array([place[pair] for pair in pairs])
    counts = np.bincount(codes)
    members = sparse.csr_matrix((1.0 / counts[codes], (codes, np.arange(len(codes)))))
    return dict(zip(names, (members @ data.X).toarray(), strict=True))


def _changes(means: dict[tuple[State, str], np.ndarray], data: CuratedData) -> dict[str, np.ndarray]:
    """Token → change from control of its single, averaged over the states that have it and controls."""
    control = data.info.keys.control
    tokens = condition_tokens(sorted({condition for _, condition in means}), data.info)
    found: dict[str, list[np.ndarray]] = {}
    for (state, condition), row in means.items():
        if len(tokens[condition]) == 1 and (state, control) in means:
            found.setdefault(tokens[condition][0], []).append(row - means[state, control])
    return {token: np.mean(changes, axis=0) for token, changes in sorted(found.items())}
