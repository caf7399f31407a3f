"""All splits of a dataset at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import pandas as pd

from perturbench_lamin.conditions import ObsKeys
from perturbench_lamin.contracts import SPLIT_NAMES
from perturbench_lamin.errors import InputError
from perturbench_lamin.splitting.tasks import make_split
from perturbench_lamin.splitting.unseen_tokens import exclude_unpredictable


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
    not_made: list[tuple[str, str]] = []
    for task in tasks:
        try:
            splits[task.name], unpredictable = _make(obs, keys, task)
        except InputError as error:
            if task is tasks[0]:
                raise
            not_made.append((task.name, error.what))
        else:
            excluded.append(unpredictable.assign(task=task.name))
    reasons = pd.DataFrame(not_made, columns=["task", "not made because"])
    return DatasetSplits(splits, pd.concat(excluded, ignore_index=True), reasons)


def _make(obs: pd.DataFrame, keys: ObsKeys, task: NamedTask) -> tuple[pd.Series, pd.DataFrame]:
    split = make_split(obs, task.method, keys, dict(task.options))
    if task.method == "unseen":  # that task asks for perturbations that training has not seen
        return split, pd.DataFrame()
    return exclude_unpredictable(obs, split, keys)
