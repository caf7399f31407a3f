"""Discrimination scores: is a predicted change nearer to its own true change than to those of other conditions?"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from perturbench_lamin.evaluation.measures import cosine_pairs
from perturbench_lamin.evaluation.pairwise import absolute_differences, squared_differences

PairDistances = Callable[[np.ndarray, np.ndarray], np.ndarray]


def _cosine_distances(prediction: np.ndarray, truth: np.ndarray) -> np.ndarray:
    similar = cosine_pairs(truth, prediction)
    return 1.0 - np.where(np.isnan(similar), 0.0, similar)  # no direction: at a right angle to all


DISTANCES: Mapping[str, PairDistances] = {
    "l1": absolute_differences,
    "l2": squared_differences,
    "cosine": _cosine_distances,
}


def discrimination(truth: np.ndarray, prediction: np.ndarray, targets: np.ndarray, distance: str) -> np.ndarray:
    """1 − (number of truths nearer to prediction i than truth i) / p, without the perturbed genes (cell-eval).

    A truth at the same distance counts half (cell-eval's order among them is arbitrary), so that a prediction without
    a direction, as that of no change is for the cosine, gets the score of chance.

    Args:
        truth: changes from control, conditions × genes.
        prediction: the same conditions.
        targets: whether a gene is a target of the condition, conditions × genes.
        distance: ``l1``, ``l2`` or ``cosine``.

    Returns:
        (conditions,), in (0, 1].
    """
    between = DISTANCES[distance]
    distances = between(prediction, truth)
    for i in np.flatnonzero(targets.any(axis=1)):
        kept = ~targets[i]
        distances[i] = between(prediction[i : i + 1, kept], truth[:, kept])[0]
    own = np.diag(distances)[:, None]
    tied = (distances == own).sum(axis=1) - 1
    return 1.0 - ((distances < own).sum(axis=1) + 0.5 * tied) / len(truth)
