"""Splits to freeze: a task's draw without what no model can predict, for one task or for all of a dataset."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import pandas as pd

from perturbench_lamin.conditions import ObsKeys
from perturbench_lamin.contracts import SPLIT_NAMES
from perturbench_lamin.errors import InputError
from perturbench_lamin.splitting.tasks import accept_obs, require_task, resolve_params
from perturbench_lamin.splitting.unseen_tokens import exclude_unpredictable, nothing_excluded
from perturbench_lamin.storage.reading import about


class NamedTask(Protocol):
    """A task as the catalog describes it."""

    @property
    def name(self) -> str:
        """Unique within the dataset."""

    @property
    def method(self) -> str:
        """A name in :data:`~perturbench_lamin.splitting.tasks.TASKS`."""

    @property
    def options(self) -> Mapping[str, object]:
        """The method's parameters, the seed among them."""


@dataclass(frozen=True)
class DatasetSplits:
    """The splits of a dataset.

    Attributes:
        splits: task → cell → part.
        excluded: the held-out conditions that no model could predict, by task.
        not_made: the tasks that these data cannot give, and why.
    """

    splits: Mapping[str, pd.Series]
    excluded: pd.DataFrame
    not_made: pd.DataFrame

    def cells(self) -> pd.DataFrame:
        """How many cells each part of each task has."""
        counts = {name: split.replace("", "excluded").value_counts() for name, split in self.splits.items()}
        return pd.DataFrame(counts).reindex([*SPLIT_NAMES, "excluded"]).fillna(0).astype(int).T


@dataclass(frozen=True)
class FrozenSplit:
    """A split as training takes it.

    Attributes:
        parts: (cells,) "train", "val", "test" or "".
        excluded: the held-out conditions that no model could predict, see
            :func:`~perturbench_lamin.splitting.unseen_tokens.exclude_unpredictable`.
    """

    parts: pd.Series
    excluded: pd.DataFrame


def make_frozen_split(
    obs: pd.DataFrame,
    task: str,
    keys: ObsKeys,
    params: object = None,
    *,
    keep_unpredictable: bool = False,
    where: object = "obs",
) -> FrozenSplit:
    """Make a split: the task's draw (:func:`~perturbench_lamin.splitting.tasks.make_split`), without what no model
    can predict. A task that asks for perturbations that training lacks keeps them.

    This is the split that a chain's notebooks and the verb ``split`` make. Where nothing would be left in val or in
    test, the verb says so, and the notebooks stop.

    Args:
        obs: the table of cells, indexed by cell name.
        task: a name in :data:`~perturbench_lamin.splitting.tasks.TASKS`.
        keys: the columns of conditions and covariates, and the control value.
        params: the task's parameters.
        keep_unpredictable: leave the draw as it is.
        where: the file, for messages.

    Raises:
        InputError: the split cannot be made.
    """
    require_task(task)
    settings = resolve_params(task, params)
    with about(str(where)):
        accepted = accept_obs(obs, keys, where=where)
        if keep_unpredictable:
            return FrozenSplit(require_task(task).function(accepted, keys, settings), nothing_excluded(keys))
        return _make(accepted, task, keys, settings, allow_empty=True)


def make_splits(obs: pd.DataFrame, keys: ObsKeys, tasks: Sequence[NamedTask]) -> DatasetSplits:
    """Make the split of every task; the first is the dataset's main one.

    Args:
        obs: the table of cells.
        keys: its columns.
        tasks: from the catalog.

    Raises:
        InputError: the main task cannot be made. Another that cannot is listed in ``not_made``.
    """
    splits: dict[str, pd.Series] = {}
    excluded: list[pd.DataFrame] = []
    obs = accept_obs(obs, keys)
    not_made: list[tuple[str, str]] = []
    for task in tasks:
        try:
            made = _make(obs, task.method, keys, resolve_params(task.method, dict(task.options)))
        except InputError as error:
            if task is tasks[0]:
                raise
            not_made.append((task.name, error.what))
        else:
            splits[task.name] = made.parts
            excluded.append(made.excluded.assign(task=task.name))
    reasons = pd.DataFrame(not_made, columns=["task", "not made because"])
    return DatasetSplits(splits, pd.concat(excluded, ignore_index=True), reasons)


def _make(obs: pd.DataFrame, task: str, keys: ObsKeys, settings: object, *, allow_empty: bool = False) -> FrozenSplit:
    chosen = require_task(task)
    split = chosen.function(obs, keys, settings)
    if chosen.asks_unseen:
        return FrozenSplit(split, nothing_excluded(keys))
    return FrozenSplit(*exclude_unpredictable(obs, split, keys, allow_empty=allow_empty))
