"""Ranks: does a prediction fit its own condition better than the predictions of other conditions do?"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from perturbench_lamin.evaluation.profiles import Alone, Ties

TIE_WEIGHT: Mapping[str, float] = {"worse": 1.0, "mid": 0.5}
"""What a tie adds to a rank; also the rank of a model that predicts the same for every condition."""


def rank_conditions(
    scores: np.ndarray, *, higher_is_better: bool, ties: Ties, alone: Alone = "undefined"
) -> np.ndarray:
    """Rank of each condition's prediction among all predictions, against that condition's truth.

    rank_i = (1/(p−1)) Σ_{j≠i} 1[d(μ̂_j, μ_i) ≤ d(μ̂_i, μ_i)] (PerturBench, arXiv 2408.10609, Eq. 2):
    0 is perfect, 0.5 random. An undefined score (NaN, as the cosine of a prediction of no change) counts as
    the worst, and ties with other undefined ones.

    Args:
        scores: prediction j (row) against truth i (column), p × p.
        higher_is_better: direction of ``scores``.
        ties: how a j with the same score as i counts: ``worse`` 1, ``mid`` ½.
        alone: what the rank is where p = 1 and there is nothing to rank against.

    Returns:
        (p,), in [0, 1]; NaN where it is undefined.
    """
    p = len(scores)
    if p == 1:
        return np.full(1, 0.0 if alone == "zero" else np.nan)
    distances = np.where(np.isnan(scores), np.inf, -scores if higher_is_better else scores)
    own = np.diag(distances)[None, :]
    nearer = (distances < own).sum(axis=0)
    tied = (distances == own).sum(axis=0) - 1
    return (nearer + TIE_WEIGHT[ties] * tied) / (p - 1)
