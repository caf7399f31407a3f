"""The registry: every metric by name. Users' own metrics plug in with :func:`register`."""

from __future__ import annotations

from dataclasses import replace

from perturbench_lamin.errors import InputError, nearest
from perturbench_lamin.evaluation.aggregations import AGGREGATIONS
from perturbench_lamin.evaluation.definitions import BUILT_IN
from perturbench_lamin.evaluation.metric import Metric
from perturbench_lamin.evaluation.subsets import SEPARATOR, parse_subset

RANK_SUFFIX = "_rank"
_REGISTRY: dict[str, Metric] = {metric.name: metric for metric in BUILT_IN}


def register(metric: Metric, *, replace_existing: bool = False) -> Metric:
    """Add a metric, so that profiles can name it and, with ``_rank`` behind, its rank.

    Example:
        >>> register(Metric("max_error_average", "average", lambda t, p: abs(t - p).max(axis=1), "max |μ̂ − μ|",
        ...                 (0, float("inf")), 0.0, False, "this study"))

    Raises:
        InputError: the name is taken or ends like a rank's, or there is no such aggregation.
    """
    if SEPARATOR in metric.name:
        raise InputError(
            f"The name {metric.name!r} has {SEPARATOR!r} in it", where="metric", fix="Gene subsets derive from it."
        )
    if metric.name.endswith(RANK_SUFFIX):
        raise InputError(f"The name {metric.name!r} is a rank's", where="metric", fix="Ranks derive from their metric.")
    if metric.name in _REGISTRY and not replace_existing:
        raise InputError(
            f"There is a metric {metric.name!r} already", where="metric", fix="Rename it, or pass replace_existing."
        )
    if metric.aggregation not in AGGREGATIONS:
        raise InputError(
            f"No aggregation {metric.aggregation!r}", where=metric.name, fix=nearest(metric.aggregation, AGGREGATIONS)
        )
    _REGISTRY[metric.name] = metric
    return metric


def get_metric(name: str) -> Metric:
    """The metric of that name; ``<name>_rank`` is derived from ``<name>``, ``<name>@<subset>`` too.

    Raises:
        InputError: there is none; the message names the nearest. Or it is not made of genes.
    """
    if SEPARATOR in name:
        return on_subset(*name.split(SEPARATOR, 1))
    if name in _REGISTRY:
        return _REGISTRY[name]
    base = _REGISTRY.get(name.removesuffix(RANK_SUFFIX))
    if name.endswith(RANK_SUFFIX) and base is not None and base.rankable:
        return rank_of(base)
    raise InputError(f"No metric {name!r}", where="metric", fix=nearest(name, metric_names()))


def on_subset(name: str, genes: str) -> Metric:
    """A metric, or a rank, on a subset of the genes, see :mod:`~perturbench_lamin.evaluation.subsets`.

    Raises:
        InputError: there is no such metric or subset, or the metric is not made of genes.
    """
    metric, full_name = get_metric(name), f"{name}{SEPARATOR}{genes}"
    subset = parse_subset(genes, full_name)
    if not AGGREGATIONS[metric.aggregation].by_gene or metric.scope == "state":
        raise InputError(
            f"{name} takes no gene subset", where=full_name, fix="Choose a metric of means, changes or scores."
        )
    return replace(metric, name=full_name, formula=f"{metric.formula}, over genes {genes}", subset=subset)


def metric_names() -> tuple[str, ...]:
    """The names of all metrics and of their ranks, in the order of registration."""
    return tuple(
        name
        for metric in _REGISTRY.values()
        for name in ((metric.name, metric.name + RANK_SUFFIX) if metric.rankable else (metric.name,))
    )


def rank_of(metric: Metric) -> Metric:
    """The rank of a metric, see :func:`~perturbench_lamin.evaluation.ranks.rank_conditions`."""
    relation = "≥" if metric.higher_is_better else "≤"
    return replace(
        metric,
        name=metric.name + RANK_SUFFIX,
        formula=f"(1/(p−1)) Σ_(j≠i) 1[s(μ̂_j, μ_i) {relation} s(μ̂_i, μ_i)], s = {metric.name}",
        range=(0.0, 1.0),
        best=0.0,
        higher_is_better=False,
        constant_score=1.0,
        constant_text="",
        citation="PerturBench, arXiv:2408.10609, Eq. 2",
        rankable=False,
        base=metric,
    )
