"""What an evaluation gives back."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from perturbench_lamin.conditions import ObsKeys
from perturbench_lamin.errors import InputError
from perturbench_lamin.evaluation.effects import Effects
from perturbench_lamin.evaluation.notes import Note
from perturbench_lamin.evaluation.profiles import Profile
from perturbench_lamin.files import atomic_path

WHOLE_STATE = "(all)"
"""The condition in results of a metric that has one value for all conditions of a covariate state."""


@dataclass(frozen=True)
class Evaluation:
    """Metrics of some models' predictions.

    Attributes:
        table: ``model``, one column per covariate, the perturbation column, ``metric``, ``value``: sorted by
            model, covariates and condition, metrics in the profile's order.
        notes: exclusions, undefined values and warnings.
        profile: what the metrics were chosen and computed by.
        keys: the obs columns.
        effects: true and predicted means, for a report; None where they were not kept.
        device: where the heavy kernels ran.
    """

    table: pd.DataFrame
    notes: tuple[Note, ...]
    profile: Profile
    keys: ObsKeys
    effects: Effects | None = None
    device: str = "cpu"

    def summary(self) -> pd.DataFrame:
        """One row per model and metric.

        Returns:
            ``model``, ``metric``, ``mean`` (over all conditions of all covariate states: the micro average of
            the paper), ``macro_mean`` (over the covariate states' means), ``n`` values, ``n_nan`` undefined
            ones, which the means leave out.
        """
        grouped = self.table.groupby(["model", "metric"], sort=False)["value"]
        by = ["model", "metric", *self.keys.covariates]
        states = self.table.groupby(by, sort=False, dropna=False)["value"].mean()
        summary = pd.DataFrame(
            {
                "mean": grouped.mean(),
                "macro_mean": states.groupby(["model", "metric"], sort=False).mean(),
                "n": grouped.size(),
                "n_nan": grouped.size() - grouped.count(),
            }
        )
        return summary.reset_index()

    def write(self, path: str | Path) -> Path:
        """Write the table, atomically, as ``.csv`` or ``.parquet``.

        Raises:
            InputError: the name ends otherwise.
        """
        return write_table(self.table, path)


def write_table(table: pd.DataFrame, path: str | Path) -> Path:
    """Write a table, atomically, as ``.csv`` or ``.parquet``; floating-point numbers read back the same."""
    path = Path(path)
    if path.suffix not in (".csv", ".parquet"):
        raise InputError(f"Cannot write a table as {path.suffix!r}", where=path, fix="Name it .csv or .parquet.")
    with atomic_path(path) as temporary:
        if path.suffix == ".csv":
            table.to_csv(temporary, index=False, lineterminator="\n")
        else:
            table.to_parquet(temporary, index=False, write_page_checksum=True)
    return path
