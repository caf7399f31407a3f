"""A leaderboard's table as panels to draw: a metric each, models by row, mean ± standard deviation."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from perturbench_lamin.browse.files_state import FileState
from perturbench_lamin.browse.snapshot import ArtifactRecord
from perturbench_lamin.errors import InputError, PerturbenchError

if TYPE_CHECKING:
    import pandas as pd

WIDTH = 100.0
"""Places are in percent of the panel's width."""
MARGIN = 0.06


@dataclass(frozen=True)
class Dot:
    """A model's result in a metric.

    Attributes:
        model: its name.
        place: 1 is best; None where the mean is undefined.
        mean: over seeds.
        sd: over seeds; None for one.
        n_seeds: how many.
        at: of the mean, in percent of the width; None where it is undefined.
        low: of mean − sd.
        high: of mean + sd.
    """

    model: str
    place: int | None
    mean: float | None
    sd: float | None
    n_seeds: int
    at: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True)
class Panel:
    """A metric of a board.

    Attributes:
        board: what else tells the board: split and profile.
        metric: its name.
        formula: in plain text; empty for a metric that is not in the registry.
        direction: in words.
        dots: best first.
        ticks: place in percent, and its value in words.
    """

    board: str
    metric: str
    formula: str
    direction: str
    dots: tuple[Dot, ...]
    ticks: tuple[tuple[float, str], ...]


def panels_of(artifact: ArtifactRecord, state: FileState) -> tuple[Panel, ...]:
    """The panels of a leaderboard's file; none where it is not as registered, or is not a leaderboard's table."""
    from perturbench_lamin.evaluation.leaderboard import with_all_keys
    from perturbench_lamin.evaluation.metrics_file import read_board

    if artifact.path is None or state is not FileState.VERIFIED:
        return ()
    try:
        table = read_board(artifact.path).astype({"place": float})
    except PerturbenchError:
        return ()
    if table.empty:
        return ()
    boards = [name for name in ("split", "profile") if name in table.columns]
    groups = with_all_keys(table, boards).groupby([*boards, "metric"], sort=True, observed=True)
    return tuple(_panel(" · ".join(str(name) or "–" for name in key[:-1]), str(key[-1]), rows) for key, rows in groups)


def _panel(board: str, metric: str, rows: pd.DataFrame) -> Panel:
    mean, sd = rows["mean"].astype(float), rows["sd"].astype(float).fillna(0.0)
    low, high = float((mean - sd).min()), float((mean + sd).max())
    ticks = _ticks(low, high)
    low, high = min([low, *ticks]), max([high, *ticks])
    ordered = rows.assign(rank=rows["place"].fillna(math.inf)).sort_values(["rank", "model"], kind="stable")
    formula, direction = _metric(metric)
    return Panel(
        board,
        metric,
        formula,
        direction,
        dots=tuple(_dot(row, low, high) for row in ordered.to_dict("records")),
        ticks=tuple((_at(tick, low, high), f"{tick:.4g}") for tick in ticks),
    )


def _dot(row: dict, low: float, high: float) -> Dot:
    mean, sd, place = (_number(row[name]) for name in ("mean", "sd", "place"))
    spread = sd or 0.0
    places = (
        (None, None, None) if mean is None else tuple(_at(x, low, high) for x in (mean, mean - spread, mean + spread))
    )
    return Dot(str(row["model"]), None if place is None else int(place), mean, sd, int(row["n_seeds"]), *places)


def _number(thing: object) -> float | None:
    number = float(thing)  # type: ignore[arg-type]
    return number if math.isfinite(number) else None


def _at(value: float, low: float, high: float) -> float:
    inner = 1 - 2 * MARGIN
    share = (value - low) / (high - low) if high > low else 0.5
    return round(WIDTH * (MARGIN + inner * share), 2)


def _ticks(low: float, high: float) -> list[float]:
    """A few round values from at most ``low`` to at least ``high``."""
    if not (math.isfinite(low) and math.isfinite(high)):
        return []
    from matplotlib.ticker import MaxNLocator

    found = [float(x) for x in MaxNLocator(nbins=4, steps=[1, 2, 5, 10]).tick_values(low, high)]
    return [round(x, 10) + 0.0 for x in found]


def _metric(name: str) -> tuple[str, str]:
    from perturbench_lamin.evaluation.registry import get_metric

    try:
        metric = get_metric(name)
    except InputError:
        return "", ""
    return metric.formula, "higher is better" if metric.higher_is_better else "lower is better"
