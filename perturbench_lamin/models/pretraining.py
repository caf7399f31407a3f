"""Gene and perturbation embeddings of one dataset, to fit :class:`~.linear_embedding.LinearEmbedding` on another."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import sparse

from perturbench_lamin.conditions import covariate_states
from perturbench_lamin.curation.source_h5ad import H5adSource
from perturbench_lamin.errors import InputError
from perturbench_lamin.loading.checked_chunks import require_finite
from perturbench_lamin.loading.curated import CuratedData, read_curated, split_labels
from perturbench_lamin.loading.vocabulary import State, condition_tokens
from perturbench_lamin.models.embedding_file import Embedding, write_embedding
from perturbench_lamin.models.embedding_regression import COMPONENTS, principal_scores
from perturbench_lamin.storage.scale import ScaleWatch

Blocks = Iterable[tuple[int, sparse.csr_matrix]]
GENES, PERTURBATIONS = "genes.npz", "perturbations.npz"


def pretrain(
    curated_path: str | Path, split: pd.Series | None = None, *, components: int = COMPONENTS
) -> tuple[Embedding, Embedding]:
    """The embeddings of a curated file's genes and of its perturbations, as :func:`pretrained_embeddings`.

    The file is read once, chunk by chunk: of it only the means of conditions are ever in memory.

    Args:
        curated_path: a curated h5ad file, of another dataset than the one that the model will be fitted on.
        split: cell → part, to use the training cells alone.
        components: how many principal components at most.

    Raises:
        InputError: it is not a curated file, file and split disagree, expression is not finite, or fewer than two
            perturbations have been observed alone in a state with controls.
    """
    data = read_curated(curated_path, memory="none")
    chosen = None if split is None else split_labels(split, data) == "train"
    with H5adSource(curated_path, layer="X") as source:
        return _embeddings(data, _means(data, chosen, source.row_chunks()), components)


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
    return _embeddings(data, _means(data, None, [(0, data.X)]), components)


def write_pretrained(
    folder: str | Path, embeddings: tuple[Embedding, Embedding], about: Mapping[str, str]
) -> tuple[Path, Path]:
    """Write the embeddings of genes and of perturbations, each with words about what they were made of.

    Returns:
        The paths of ``genes.npz`` and ``perturbations.npz``.
    """
    genes, perturbations = (replace(embedding, about=about) for embedding in embeddings)
    folder = Path(folder)
    return write_embedding(folder / GENES, genes), write_embedding(folder / PERTURBATIONS, perturbations)


def _embeddings(
    data: CuratedData, means: dict[tuple[State, str], np.ndarray], components: int
) -> tuple[Embedding, Embedding]:
    if components < 1:
        raise InputError(f"components is {components}", where="pre-training", fix="Give at least 1.")
    genes = principal_scores(np.array(list(means.values())).T, components)
    changes = _changes(means, data)
    if len(changes) < 2:
        raise InputError(
            f"{len(changes)} single perturbations with controls, the embedding takes two", where=data.source
        )
    source = f"pre-trained on {data.info.dataset}"
    perturbations = Embedding(tuple(changes), principal_scores(np.array(list(changes.values())), components), source)
    return Embedding(data.genes, genes, source), perturbations


def _means(data: CuratedData, chosen: np.ndarray | None, blocks: Blocks) -> dict[tuple[State, str], np.ndarray]:
    """Means of (state, condition) of the chosen cells, sorted, in float64."""
    labels = data.obs[data.info.keys.perturbation].astype(str)
    pairs = list(zip(covariate_states(data.obs, data.info.keys.covariates), labels, strict=True))
    wanted = np.ones(len(pairs), dtype=bool) if chosen is None else chosen
    names = sorted({pair for pair, one in zip(pairs, wanted, strict=True) if one})
    place = {pair: number for number, pair in enumerate(names)}
    codes = np.array([place[pair] if one else -1 for pair, one in zip(pairs, wanted, strict=True)])
    counts, totals = np.bincount(codes[wanted], minlength=len(names)), np.zeros((len(names), len(data.genes)))
    watch = ScaleWatch()
    for start, block in blocks:
        require_finite(block.data, data.source)
        watch.see(block)
        own = codes[start : start + block.shape[0]]
        cells = np.flatnonzero(own >= 0)
        shares = sparse.csr_matrix((1.0 / counts[own[cells]], (own[cells], cells)), (len(names), len(own)))
        totals += (shares @ block).toarray()
    watch.require_log1p(f"{data.source}, X")
    return dict(zip(names, totals, strict=True))


def _changes(means: dict[tuple[State, str], np.ndarray], data: CuratedData) -> dict[str, np.ndarray]:
    """Token → change from control of its single, averaged over the states that have it and controls."""
    control = data.info.keys.control
    tokens = condition_tokens(sorted({condition for _, condition in means}), data.info)
    found: dict[str, list[np.ndarray]] = {}
    for (state, condition), row in means.items():
        if len(tokens[condition]) == 1 and (state, control) in means:
            found.setdefault(tokens[condition][0], []).append(row - means[state, control])
    return {token: np.mean(changes, axis=0) for token, changes in sorted(found.items())}
