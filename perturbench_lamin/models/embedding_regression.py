"""Y ≈ G W Pᵀ + b: the linear model of Ahlmann-Eltze, Huber & Anders, Nature Methods 2025, in closed form."""

from __future__ import annotations

import numpy as np

COMPONENTS = 10
RIDGE = 0.1


def principal_scores(rows: np.ndarray, components: int = COMPONENTS) -> np.ndarray:
    """The scores of observations in their PCA.

    Of genes, given the means of conditions (genes × conditions): the gene embedding of the paper.

    Args:
        rows: observations × variables.
        components: how many principal components at most.

    Returns:
        observations × components; the largest entry of each column is positive.
    """
    left, sizes, _ = np.linalg.svd(rows - rows.mean(axis=0), full_matrices=False)
    largest = np.abs(left).argmax(axis=0)
    signed = left * np.sign(left[largest, np.arange(left.shape[1])])
    return (signed * sizes)[:, :components]


def regress(
    changes: np.ndarray, genes: np.ndarray, perturbed: np.ndarray, ridge: float = RIDGE, *, control_columns: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """b and W of Y ≈ G W Pᵀ + b, with a ridge on both sides.

    b holds the row means of Y, W = (GᵀG + λI)⁻¹ Gᵀ(Y − b) P (PᵀP + λI)⁻¹.

    The published script keeps the control among the columns of Y, with a change of 0, and as a row of zeros in P. W
    is then the same function of b, but b the sum of the n changes over n + 1.

    Args:
        changes: Y, a column for each training perturbation (genes × perturbations).
        genes: G (genes × K).
        perturbed: P (perturbations × L).
        ridge: λ.
        control_columns: how many controls count among the columns: 1 for each covariate state as in the published
            script, 0 for the mean of the perturbations.

    Returns:
        b (genes) and W (K × L).
    """
    base = changes.sum(axis=1) / (changes.shape[1] + control_columns)
    left = np.linalg.solve(_regular(genes, ridge), genes.T @ (changes - base[:, None]) @ perturbed)
    return base, np.linalg.solve(_regular(perturbed, ridge), left.T).T


def _regular(matrix: np.ndarray, ridge: float) -> np.ndarray:
    regular: np.ndarray = matrix.T @ matrix + ridge * np.eye(matrix.shape[1])
    return regular
