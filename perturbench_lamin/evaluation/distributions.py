"""How a metric's values are spread over conditions."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure


def metric_distributions(table: pd.DataFrame) -> Figure:
    """One panel a metric: the value of each condition as a dot, the mean as a line.

    Args:
        table: of an :class:`~perturbench_lamin.evaluation.result.Evaluation`; undefined values are not drawn, and
            the panel's title counts them.
    """
    metrics = list(dict.fromkeys(table["metric"]))
    figure = Figure(figsize=(2.4 * len(metrics), 2.6), layout="constrained")
    panels = figure.subplots(1, len(metrics), squeeze=False)[0]
    for panel, metric in zip(panels, metrics, strict=True):
        values = table.loc[table["metric"] == metric, "value"].to_numpy(dtype=float)
        defined = np.sort(values[np.isfinite(values)])
        panel.plot(np.linspace(0, 1, len(defined)), defined, ".", markersize=4)
        if len(defined):
            panel.axhline(defined.mean(), color="black", linewidth=0.8)
        missing = len(values) - len(defined)
        panel.set_title(metric + (f" ({missing} undefined)" if missing else ""), fontsize="small")
        panel.set_xticks([0, 1], ["lowest", "highest"], fontsize="small")
        panel.spines[["top", "right"]].set_visible(False)
    return figure
