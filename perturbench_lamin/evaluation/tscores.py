"""t statistics of each gene against control, from means and variances alone."""

from __future__ import annotations

import numpy as np

from perturbench_lamin.evaluation.aggregate import Moments
from perturbench_lamin.evaluation.profiles import TTest


def t_scores(groups: Moments, control: Moments, test: TTest) -> np.ndarray:
    """Welch's t of every gene in every group against control.

    t = (μ − μ_c) / √(s²/n + s_c²/n_c); ``t-test_overestim_var`` puts n in place of n_c (as scanpy's
    ``rank_genes_groups`` does). Where both variances are 0 the score is 0, as in PerturBench.

    Args:
        groups: with variances.
        control: one row, with variances.
        test: which of the two.

    Returns:
        groups × genes; NaN for a group of one cell, or with one control cell: no variance.
    """
    assert groups.variances is not None
    assert control.variances is not None
    n = groups.counts[:, None]
    n_control = n if test == "t-test_overestim_var" else control.counts[:, None]
    error = np.sqrt(groups.variances / n + control.variances / n_control)
    difference = groups.means - control.means
    return np.where(error == 0, 0.0, difference / np.where(error == 0, 1.0, error))
