"""How much each hyperparameter of a search matters for the objective."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import optuna
import pandas as pd
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.importance import FanovaImportanceEvaluator

from perturbench_lamin.training.search_spaces import Space
from perturbench_lamin.training.study import quiet_optuna

LEAST_TRIALS = 10
"""Complete trials without which a forest tells noise."""

SEED = 0


@dataclass(frozen=True)
class Importance:
    """What the complete trials of a search say of its hyperparameters.

    Attributes:
        shares: hyperparameter → share of the objective's variance over the space that it explains by itself, highest
            first; what is left to 1 are interactions. Empty where that cannot be said.
        notes: what was left out of account, or why nothing can be said; sentences.
    """

    shares: pd.Series
    notes: tuple[str, ...]


def importance(table: pd.DataFrame, space: Space) -> Importance:
    """The importance of each hyperparameter by functional ANOVA (Hutter et al., ICML 2014), as Optuna has it.

    A random forest of a fixed seed is fitted to the complete trials, and its variance over the space divided among
    the hyperparameters. A range that is searched on a logarithmic scale counts on that scale.

    Args:
        table: from :func:`~perturbench_lamin.training.study_results.trials_table`.
        space: the search space.
    """
    complete = table[table["state"] == "complete"]
    left_out = table.loc[table["state"] != "complete", "state"].value_counts().sort_index()
    counted = " and ".join(f"{count:,} {state}" for state, count in left_out.items())
    notes = [f"Not counted: {counted} trials, which have no objective."] if counted else []
    varied = [name for name in space if complete[name].nunique(dropna=False) > 1]
    if reason := _why_not(complete, varied):
        return Importance(pd.Series(dtype=float), (reason, *notes))
    if constant := [name for name in space if name not in varied]:
        notes.append(f"Not varied: {', '.join(constant)}.")
    return Importance(_shares(complete, {name: space[name] for name in varied}), tuple(notes))


def _why_not(complete: pd.DataFrame, varied: list[str]) -> str:
    """Why importance cannot be said, or nothing."""
    if len(complete) < LEAST_TRIALS:
        return f"Needs {LEAST_TRIALS} complete trials; there are {len(complete)}."
    if not varied:
        return "All complete trials have the same hyperparameters."
    return "All complete trials have the same objective." if complete["objective"].nunique() < 2 else ""


def _shares(complete: pd.DataFrame, space: Space) -> pd.Series:
    scales = {name: _scale(distribution) for name, distribution in space.items()}
    with quiet_optuna():
        study = optuna.create_study(direction="minimize")
        for row in complete.to_dict("records"):
            params = {name: _place(row[name], space[name]) for name in space}
            study.add_trial(optuna.create_trial(params=params, distributions=scales, value=float(row["objective"])))
        found = FanovaImportanceEvaluator(seed=SEED).evaluate(study)
    return pd.Series(found, dtype=float).sort_values(ascending=False, kind="stable").rename("importance")


def _scale(distribution: BaseDistribution) -> BaseDistribution:
    """The range as the forest sees it.

    Optuna's own would take a logarithmic range by its plain values, and a choice as columns of zeros and ones that it
    varies apart, which halves the share of a choice of two.
    """
    if isinstance(distribution, CategoricalDistribution):
        return IntDistribution(0, len(distribution.choices) - 1)
    if getattr(distribution, "log", False):
        return FloatDistribution(math.log10(distribution.low), math.log10(distribution.high))
    return distribution


def _place(value: Any, distribution: BaseDistribution) -> Any:
    """A value on that scale."""
    if isinstance(distribution, CategoricalDistribution):
        return distribution.choices.index(value)
    return math.log10(value) if getattr(distribution, "log", False) else value
