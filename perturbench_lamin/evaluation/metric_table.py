"""The documentation of all metrics.

Renew it with ``python -m perturbench_lamin.evaluation.metric_table > docs/metrics.md``.
"""

from __future__ import annotations

from perturbench_lamin.evaluation.aggregations import AGGREGATIONS
from perturbench_lamin.evaluation.definitions import BUILT_IN
from perturbench_lamin.evaluation.metric import Metric
from perturbench_lamin.evaluation.profiles import PROFILES

HEAD = """# Metrics

Generated from the registry by `python -m perturbench_lamin.evaluation.metric_table`.

Notation: μ true and μ̂ predicted mean of log1p expression of a condition, over its cells; μ_c the mean of the *true*
controls of its covariate state; μ̄ the mean over conditions of their means; p conditions, G genes. A name is
`<measure>_<aggregation>`. Behind it:

- `_rank`: how the prediction of a condition ranks among those of the other conditions of the state, against that
  condition's truth: 0 is perfect, 0.5 random; a constant prediction scores 1 where ties count as worse (the paper's
  definition, our default) and 0.5 where they count half (`perturbench-code`). Metrics with “rank” below have one.
- `@expressed1000`, `@de20`, `@fdr0.05`: the same on a subset of the genes: the highest expressed in control, the
  largest |t| of the true condition, or those with a Benjamini-Hochberg adjusted p of that t below 0.05. Metrics with
  “genes” below take one. A condition without genes in the subset is undefined.

Means are *micro* averages, over all conditions, and *macro* averages, over the means of covariate states; both are
named wherever they are shown. `--device auto` computes distances between conditions, energy distances and principal
components on a GPU where there is one, in double precision as on the processor; group statistics and rank-sum tests
stay on the processor. The report says which was used.

“Constant” is the mean score of a prediction that is the same for all conditions. Undefined values are left out of
means, and counted. Values are of each condition, or, where it says so, one for all conditions of a covariate state.

| metric | formula | compares | space | reference | range | best | constant | options | source |
|---|---|---|---|---|---|---|---|---|---|
"""


def render() -> str:
    """The documentation of all built-in metrics and profiles, in Markdown."""
    rows = "\n".join(_row(metric) for metric in BUILT_IN)
    profiles = "\n".join(
        f"- `{profile.name}`: {profile.description} {', '.join(f'`{name}`' for name in profile.metrics)}."
        for profile in PROFILES.values()
    )
    return f"{HEAD}{rows}\n\n## Profiles\n\n{profiles}\n"


def _row(metric: Metric) -> str:
    low, high = (_number(value) for value in metric.range)
    cells = (
        f"`{metric.name}`",
        metric.formula,
        AGGREGATIONS[metric.aggregation].description,
        metric.space,
        metric.reference,
        f"{low} … {high}",
        f"{_number(metric.best)} ({'higher' if metric.higher_is_better else 'lower'} is better)",
        constant_score(metric),
        _options(metric),
        metric.citation,
    )
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def constant_score(metric: Metric) -> str:
    """What a constant prediction scores, in words."""
    if metric.constant_score is not None:
        return _number(metric.constant_score)
    return metric.constant_text or "depends on the data"


def _options(metric: Metric) -> str:
    found = ["one value a state"] if metric.scope == "state" else []
    found += ["rank"] if metric.rankable else []
    found += ["genes"] if metric.scope == "condition" and AGGREGATIONS[metric.aggregation].by_gene else []
    return ", ".join(found) or "–"


def _number(value: float) -> str:
    return {float("inf"): "∞", float("-inf"): "−∞"}.get(value, f"{value:g}".replace("-", "−"))


if __name__ == "__main__":
    print(render(), end="")
