"""A look at an embedding."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from scipy import linalg

from perturbench_lamin.models.external.scgpt import KEY
from perturbench_lamin.storage.anndata_file import AnnDataFile

SHOWN_CELLS = 20_000


def embedding_figure(path: str | Path, column: str = "cell_type") -> Figure:
    """The first two principal components of ``obsm["X_scgpt"]``, coloured by a column of the cells.

    Args:
        path: a file of :func:`~.scgpt.embed_curated`; of more than 20,000 cells so many are shown, evenly spaced.
        column: of ``obs``.
    """
    with AnnDataFile(path) as file:
        embedding = file.matrix(f"obsm/{KEY}").whole()
        labels = file.obs[column].astype(str).to_numpy()
    centred = embedding - embedding.mean(0, dtype=np.float64)
    _, vectors = linalg.eigh(centred.T @ centred, subset_by_index=(centred.shape[1] - 2, centred.shape[1] - 1))
    shown = np.unique(np.linspace(0, len(labels) - 1, SHOWN_CELLS).astype(int))
    places = centred[shown] @ vectors[:, ::-1]
    figure = Figure(figsize=(5, 4), layout="constrained")
    axes = figure.add_subplot()
    for label in sorted(set(labels)):
        x, y = places[labels[shown] == label].T
        axes.scatter(x, y, s=2, label=label, rasterized=True)
    axes.set(xlabel="component 1", ylabel="component 2")
    axes.legend(frameon=False, markerscale=4)
    axes.spines[["top", "right"]].set_visible(False)
    return figure
