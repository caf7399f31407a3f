"""Pictures of a training."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator


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
