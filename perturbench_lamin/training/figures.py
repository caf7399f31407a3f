"""Pictures of a training."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from perturbench_lamin.models.embedding_file import Embedding

NAMED = 60
"""How many names a figure has room for."""


def loss_curve(history: pd.DataFrame) -> Figure:
    """Training and validation loss over the epochs, the best epoch marked.

    Args:
        history: of a :class:`~perturbench_lamin.training.fit.FitResult`.
    """
    figure = Figure(figsize=(6, 3), layout="constrained")
    axes = figure.add_subplot()
    for name, label in (("train_loss", "training"), ("val_loss", "validation")):
        if name in history:
            axes.plot(history["epoch"], history[name], marker="." if len(history) < 30 else "", label=label)
    best = history.loc[history["val_loss"].idxmin()]
    label = f"best {best['val_loss']:.4g}"
    axes.plot(best["epoch"], best["val_loss"], "o", color="black", fillstyle="none", label=label)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set(xlabel="epoch", ylabel="mean squared error")
    axes.legend(frameon=False)
    axes.spines[["top", "right"]].set_visible(False)
    return figure


def embedding_figure(embedding: Embedding) -> Figure:
    """The first two components of an embedding, each point with its name where there are few."""
    places = np.pad(embedding.values, ((0, 0), (0, 2)))[:, :2]  # of a single component the second is zero
    figure = Figure(figsize=(5, 4), layout="constrained")
    axes = figure.add_subplot()
    axes.scatter(places[:, 0], places[:, 1], s=8)
    if len(embedding.names) <= NAMED:
        for name, place in zip(embedding.names, places, strict=True):
            axes.annotate(name, place, xytext=(3, 3), textcoords="offset points", fontsize=6)
    axes.set(xlabel="component 1", ylabel="component 2")
    axes.spines[["top", "right"]].set_visible(False)
    return figure
