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
    changes: np.ndarray, genes: np.ndarray, perturbed: np.ndarray, ridge: float = RIDGE
) -> tuple[np.ndarray, np.ndarray]:
    """b and W of Y ≈ G W Pᵀ + b, with a ridge on both sides.

    b holds the row means of Y, W = (GᵀG + λI)⁻¹ Gᵀ(Y − b) P (PᵀP + λI)⁻¹.

    Args:
        changes: Y, a column for each training perturbation (genes × perturbations).
        genes: G (genes × K).
        perturbed: P (perturbations × L).
        ridge: λ.

    Returns:
        b (genes) and W (K × L).
    """
    base = changes.mean(axis=1)
    left = np.linalg.solve(_regular(genes, ridge), genes.T @ (changes - base[:, None]) @ perturbed)
    return base, np.linalg.solve(_regular(perturbed, ridge), left.T).T


def _regular(matrix: np.ndarray, ridge: float) -> np.ndarray:
    regular: np.ndarray = matrix.T @ matrix + ridge * np.eye(matrix.shape[1])
    return regular
