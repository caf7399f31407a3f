"""The linear baseline of Ahlmann-Eltze, Huber & Anders (Nature Methods 2025): Y ≈ G W Pᵀ + b."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from perturbench_lamin.conditions import ObsKeys
from perturbench_lamin.evaluation.observed import Observed
from perturbench_lamin.models.embedding_regression import principal_scores, regress


def token_changes(
    training: Observed, genes: pd.Index, keys: ObsKeys, tokens: Sequence[str]
) -> tuple[np.ndarray, dict[str, np.ndarray]] | None:
    """What the model adds to control: a base for all, and a change for each perturbation whose gene is measured.

    Y (genes × training singles) holds changes from control; G (genes × K) the gene scores of the first K = 10
    principal components of the training pseudobulks; P the rows of G at the perturbed genes; b the row means of Y, in
    which each state's control counts as a column without change, as in the published script;
    W = (GᵀG + λI)⁻¹ Gᵀ(Y − b) P (PᵀP + λI)⁻¹ with λ = 0.1. A change is G W p. All covariate states are fitted
    together, each single's change being from its own state's control. The algebra is
    :mod:`~perturbench_lamin.models.embedding_regression`'s.

    Args:
        training: the training cells' means.
        genes: of those.
        keys: the obs columns.
        tokens: the perturbations to predict.

    Returns:
        b, (genes,), and per token its change, (genes,); None where fewer than two training singles have their gene
        measured.
    """
    changes, columns = _singles(training, genes, keys)
    if len(columns) < 2:
        return None
    scores = principal_scores(training.moments.means.T)
    base, weights = regress(changes, scores, scores[columns], control_columns=len(training.controls()))
    places = dict(zip(tokens, genes.get_indexer(pd.Index(tokens)), strict=True))
    return base, {token: scores @ (weights @ scores[place]) for token, place in places.items() if place >= 0}


def _singles(training: Observed, genes: pd.Index, keys: ObsKeys) -> tuple[np.ndarray, list[int]]:
    """Changes of the singles whose gene is measured (genes × singles), and the row of that gene."""
    controls = training.controls()
    rows: list[np.ndarray] = []
    columns: list[int] = []
    for state, singles in sorted(training.singles(keys).items()):
        if state in controls:
            names = sorted(singles)
            places = genes.get_indexer(pd.Index(names))
            rows += [singles[name] - controls[state] for name, place in zip(names, places, strict=True) if place >= 0]
            columns += [int(place) for place in places if place >= 0]
    return np.array(rows).T.reshape(len(genes), -1), columns
