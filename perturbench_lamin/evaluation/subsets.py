"""Gene subsets, an option of any metric on genes: ``rmse_average@expressed1000``, ``l2_average@de20``, ``…@fdr0.05``.

A subset is always chosen by the truth alone: by the true controls, or by the true cells of the condition.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from scipy import stats

from perturbench_lamin.errors import InputError
from perturbench_lamin.evaluation.aggregate import Moments
from perturbench_lamin.evaluation.aggregations import Context, Side
from perturbench_lamin.evaluation.differential import adjusted
from perturbench_lamin.evaluation.profiles import TTest
from perturbench_lamin.evaluation.tscores import t_scores

SEPARATOR = "@"
PATTERN = re.compile(r"(expressed|de|fdr)([0-9.]+)")


@dataclass(frozen=True)
class Subset:
    """Which genes a metric looks at.

    Attributes:
        kind: ``expressed`` (the highest expressed in the true controls of the covariate state), ``de`` (the largest
            |t| of the true condition against control) or ``fdr`` (Benjamini-Hochberg adjusted p of that t below it).
        size: number of genes, or the threshold.
    """

    kind: str
    size: float

    @property
    def needs(self) -> frozenset[str]:
        """What must be computed of the cells."""
        return frozenset() if self.kind == "expressed" else frozenset({"variances"})

    def genes(self, truth: Side, context: Context, test: TTest) -> np.ndarray:
        """Whether each gene belongs to it, (conditions × genes); no genes where the test is undefined."""
        return KINDS[self.kind](truth.moments, context.control, self.size, test)


def parse_subset(text: str, where: str) -> Subset:
    """Read ``expressed1000``, ``de20`` or ``fdr0.05``.

    Raises:
        InputError: it is none of them, or its size makes no sense.
    """
    found = PATTERN.fullmatch(text)
    fix = "Write @expressed1000, @de20 or @fdr0.05 behind a metric's name."
    if found is None:
        raise InputError(f"No gene subset {text!r}", where=where, fix=fix)
    kind, size = found.groups()
    try:
        value = float(size)
    except ValueError:
        raise InputError(f"{size!r} is no number", where=where, fix=fix) from None
    if value <= 0 or (kind == "fdr" and value > 1) or (kind != "fdr" and value != int(value)):
        raise InputError(f"The size {size} makes no sense for a subset of kind {kind!r}", where=where, fix=fix)
    return Subset(kind, value)


def _expressed(truth: Moments, control: Moments, size: float, test: TTest) -> np.ndarray:
    return np.broadcast_to(highest(control.means, int(size)), truth.means.shape)


def _top(truth: Moments, control: Moments, size: float, test: TTest) -> np.ndarray:
    scores = np.abs(t_scores(truth, control, test))
    undefined = np.isnan(scores).any(axis=1, keepdims=True)
    return highest(np.where(undefined, 0.0, scores), int(size)) & ~undefined


def _significant(truth: Moments, control: Moments, size: float, test: TTest) -> np.ndarray:
    return adjusted(t_test(truth, control, test)) < size


KINDS: Mapping[str, Callable[[Moments, Moments, float, TTest], np.ndarray]] = {
    "expressed": _expressed,
    "de": _top,
    "fdr": _significant,
}


def highest(rows: np.ndarray, n: int) -> np.ndarray:
    """Whether a value is among the ``n`` highest of its row; ties go by gene name."""
    chosen = np.zeros(rows.shape, dtype=bool)
    np.put_along_axis(chosen, np.argsort(-rows, axis=1, kind="stable")[:, :n], True, axis=1)
    return chosen


def t_test(truth: Moments, control: Moments, test: TTest) -> np.ndarray:
    """Two-sided p-values of :func:`t_scores`, with Welch's degrees of freedom; 1 without variance and difference."""
    assert truth.variances is not None
    assert control.variances is not None
    n = truth.counts[:, None].astype(np.float64)
    n_control = n if test == "t-test_overestim_var" else control.counts[:, None].astype(np.float64)
    a, b = truth.variances / n, control.variances / n_control
    with np.errstate(divide="ignore", invalid="ignore"):
        freedom = (a + b) ** 2 / (a**2 / (n - 1) + b**2 / (n_control - 1))
    p = 2 * stats.t.sf(np.abs(t_scores(truth, control, test)), freedom)
    return np.where(a + b == 0, 1.0, p)
