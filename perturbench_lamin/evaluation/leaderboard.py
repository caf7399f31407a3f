"""Leaderboards: long tables of metrics, of several runs, as mean ± standard deviation over seeds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal

import pandas as pd

from perturbench_lamin.errors import InputError, nearest
from perturbench_lamin.evaluation.registry import get_metric

BOARD = ("dataset", "task", "split", "profile")
"""What makes results comparable: only models that share these (those that the table has) stand on one board."""

RUN = "seed"
NEEDED = ("model", "metric", "value")
NamedTable = tuple[str, pd.DataFrame]

Average = Literal["micro", "macro"]


def leaderboard(table: pd.DataFrame, *, average: Average = "micro", condition: str = "condition") -> pd.DataFrame:
    """Summarise runs.

    A run's score is its mean over all conditions (micro), or over the means of its covariate states (macro), undefined
    values left out; a model's is the mean of its runs' scores, with their sample standard deviation (ddof 1).

    Args:
        table: ``model``, ``metric``, ``value``, and any of ``dataset``, ``task``, ``split``, ``profile``,
            ``seed``; other columns (the covariates) tell the values of a run apart. An empty field of these is a value
            of its own: rows without a seed are one run, rows without a dataset a board.
        average: the scores that ``mean``, ``sd`` and ``place`` are made of.
        condition: the column of conditions; without it there is no macro average.

    Returns:
        Sorted by board, metric and model: the board's columns, ``metric``, ``model``, ``mean``, ``sd`` (NaN for
        one run), ``n_seeds``, ``n_values`` and ``n_nan`` over all runs, ``micro_mean`` and ``macro_mean``, and
        ``place`` (1 is best, by the metric's direction; equal means share the better place; no place for a model
        whose mean is undefined).

    Raises:
        InputError: a column or a model's name is missing, a metric is unknown, or values of a run occur twice.
    """
    table = with_all_keys(table)
    _require_columns(table)
    if average == "macro" and condition not in table.columns:
        raise InputError(f"No column {condition!r}", where="metrics table", fix=nearest(condition, table.columns))
    group = [*_board(table), "metric", "model"]
    over_runs = _run_scores(table, group, condition).groupby(group, observed=True)
    board = pd.DataFrame(
        {
            "mean": over_runs[average].mean(),
            "sd": over_runs[average].std(ddof=1),
            "n_seeds": over_runs[average].count(),
            "n_values": over_runs["size"].sum(),
            "n_nan": over_runs["size"].sum() - over_runs["count"].sum(),
            "micro_mean": over_runs["micro"].mean(),
            "macro_mean": over_runs["macro"].mean(),
        }
    ).reset_index()
    signed = board["mean"].where(~board["metric"].map(_higher_is_better), -board["mean"])
    places = signed.groupby([board[name] for name in [*_board(table), "metric"]], observed=True).rank(method="min")
    return board.assign(place=places.astype("Int64"))


def with_all_keys(table: pd.DataFrame, names: Sequence[str] = (*BOARD, RUN)) -> pd.DataFrame:
    """The table with "" for each missing key, so that no grouping leaves its row out.

    Args:
        table: rows with keys, such as a table of metrics or a leaderboard.
        names: the columns of keys, those that there are.
    """
    gaps = [name for name in _present(table, names) if table[name].isna().any()]
    return table.assign(**{name: table[name].astype(object).where(table[name].notna(), "") for name in gaps})


def combined(tables: Sequence[NamedTable]) -> pd.DataFrame:
    """Tables of metrics as one; a key that a table lacks is empty there."""
    return with_all_keys(pd.concat([table for _, table in tables], ignore_index=True))


def lacking_keys(tables: Sequence[NamedTable]) -> Iterator[str]:
    """A sentence for each table without a key that others have: where its results then stand.

    Args:
        tables: name and table of metrics, as given to :func:`combined`.
    """
    keys = [name for name in (*BOARD, RUN) if any(name in table and table[name].notna().any() for _, table in tables)]
    for source, table in tables:
        lacking = [name for name in keys if name not in table or table[name].isna().any()]
        if boards := [name for name in lacking if name != RUN]:
            yield f"{source} has rows without {', '.join(boards)}: they stand on a board of their own."
        if RUN in lacking:
            yield f"{source} has rows without {RUN}: those of a model count as one run."


def _run_scores(table: pd.DataFrame, group: list[str], condition: str) -> pd.DataFrame:
    """Each run's ``micro`` and ``macro`` score, with the ``size`` and ``count`` of its values."""
    run = [*group, *_present(table, [RUN])]
    runs = table.groupby(run, observed=True)["value"].agg(["mean", "size", "count"]).rename(columns={"mean": "micro"})
    if condition not in table.columns:
        return runs.assign(macro=float("nan"))
    state = [name for name in table.columns if name not in (*run, condition, "value")]
    states = table.groupby([*run, *state], observed=True, dropna=False)["value"].mean()
    return runs.assign(macro=states.groupby(run, observed=True).mean())


def order_models(board: pd.DataFrame, metric: str) -> list[str]:
    """The models, best first by their mean place in one metric over all boards; equal ones by name.

    Raises:
        InputError: the board has no such metric.
    """
    rows = board[board["metric"] == metric]
    if rows.empty:
        raise InputError(
            f"The leaderboard has no metric {metric!r}", where="metric", fix=nearest(metric, board["metric"].unique())
        )
    places = rows.groupby("model", observed=True)["place"].mean().sort_index()
    rest = sorted(set(board["model"]) - set(places.index))
    return [*map(str, places.sort_values(kind="stable").index), *rest]


def to_text(board: pd.DataFrame, metrics: Sequence[str] | None = None, sort_by: str | None = None) -> pd.DataFrame:
    """One row per board and model, one column per metric with ``mean ± sd`` to read.

    Args:
        board: from :func:`leaderboard`.
        metrics: which, in this order; all where None.
        sort_by: the metric to order models by; the first where None.
    """
    board = with_all_keys(board)
    chosen = list(metrics) if metrics is not None else sorted(board["metric"].unique())
    models = order_models(board, sort_by or chosen[0])
    keys = [*_board(board), "model"]
    rows = board[board["metric"].isin(chosen)]
    cells = rows.assign(text=[_cell(*values) for values in rows[["mean", "sd", "n_seeds"]].itertuples(index=False)])
    wide = cells.set_index([*keys, "metric"])["text"].unstack("metric").reindex(columns=chosen).reset_index()
    wide["model"] = pd.Categorical(wide["model"], models)
    wide = wide.sort_values(keys, kind="stable").astype({"model": str}).fillna("")
    return wide.rename_axis(columns=None).reset_index(drop=True)


def to_markdown(board: pd.DataFrame, metrics: Sequence[str] | None = None, sort_by: str | None = None) -> str:
    """:func:`to_text` as a Markdown table, with the best model of each board and metric in bold.

    The header's arrows say which direction is better.
    """
    board = with_all_keys(board)
    text = to_text(board, metrics, sort_by)
    keys = [*_board(board), "model"]
    best = {tuple(map(str, row)) for row in board[board["place"] == 1][[*keys, "metric"]].itertuples(index=False)}
    shown = [name for name in text.columns if name not in keys]
    head = [*keys, *(f"{name} {'↑' if _higher_is_better(name) else '↓'}" for name in shown)]
    lines = [head, ["---"] * len(head)]
    for _, row in text.iterrows():
        key = tuple(str(row[name]) for name in keys)
        lines.append([*key, *(f"**{row[name]}**" if (*key, name) in best else row[name] for name in shown)])
    return "\n".join("| " + " | ".join(_escaped(cell) for cell in line) + " |" for line in lines) + "\n"


def _require_columns(table: pd.DataFrame) -> None:
    for name in NEEDED:
        if name not in table.columns:
            raise InputError(f"No column {name!r}", where="metrics table", fix=nearest(name, table.columns))
    if table.empty:
        raise InputError("No rows", where="metrics table", fix="Make one with `perturbench-lamin evaluate`.")
    nameless = table["model"].isna() | (table["model"] == "")
    if nameless.any():
        raise InputError(
            f"{int(nameless.sum()):,} rows name no model", where="metrics table", fix="Fill the column 'model'."
        )
    for metric in table["metric"].unique():
        get_metric(str(metric))
    _require_once(table)


def _require_once(table: pd.DataFrame) -> None:
    """Two values of one run, condition and metric, equal or not, are two runs that nothing tells apart."""
    names = [name for name in table.columns if name != "value"]
    repeated = table.duplicated(names)
    if repeated.any():
        first = table.loc[repeated, [name for name in names if name in (*BOARD, "model", RUN, "metric")]].iloc[0]
        raise InputError(
            f"{int(repeated.sum()):,} values occur twice for the same run, condition and metric, "
            f"first of {', '.join(f'{name} {str(value)!r}' for name, value in first.items())}",
            where="metrics table",
            fix=f"Tell the runs apart by a column {RUN!r}, or remove the repetitions.",
        )


def _board(table: pd.DataFrame) -> list[str]:
    return _present(table, BOARD)


def _present(table: pd.DataFrame, names: Sequence[str]) -> list[str]:
    return [name for name in names if name in table.columns]


def _higher_is_better(metric: str) -> bool:
    return get_metric(metric).higher_is_better


def _cell(mean: float, sd: float, n_seeds: int) -> str:
    if n_seeds == 0:
        return "undefined"
    return f"{mean:.4g}" if pd.isna(sd) else f"{mean:.4g} ± {sd:.2g}"


def _escaped(cell: str) -> str:
    return cell.replace("|", "\\|")
