"""The registry of tasks, and the one function that makes a split."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any

import pandas as pd

from perturbench_lamin.conditions import ObsKeys, require_controls_per_state, require_obs
from perturbench_lamin.errors import InputError, nearest, some
from perturbench_lamin.splitting.combine import CombineParams, split_combine
from perturbench_lamin.splitting.combine_inverse import CombineInverseParams, split_combine_inverse
from perturbench_lamin.splitting.imbalance import ImbalanceParams, split_imbalance
from perturbench_lamin.splitting.manual import ManualParams, split_manual
from perturbench_lamin.splitting.predefined import PredefinedParams, split_predefined
from perturbench_lamin.splitting.scaling import ScalingParams, split_scaling
from perturbench_lamin.splitting.scaling_perturbations import (
    ScalingPerturbationsParams,
    split_scaling_perturbations,
)
from perturbench_lamin.splitting.transfer import TransferParams, split_transfer
from perturbench_lamin.splitting.unseen import UnseenParams, split_unseen

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Task:
    """One way to split a dataset.

    Attributes:
        function: ``(obs, keys, params) -> split``; may trust that ``obs`` has the columns and controls.
        params: the frozen dataclass of its parameters; its field names are option names.
        summary: one line for ``--help``.
    """

    function: Callable[[pd.DataFrame, ObsKeys, Any], pd.Series]
    params: type
    summary: str


TASKS: Mapping[str, Task] = {
    "transfer": Task(split_transfer, TransferParams, "conditions held out of some covariate states"),
    "combine": Task(split_combine, CombineParams, "combinations held out, singles seen"),
    "combine-inverse": Task(split_combine_inverse, CombineInverseParams, "singles held out, combinations seen"),
    "manual": Task(split_manual, ManualParams, "conditions held out of named covariate states"),
    "predefined": Task(split_predefined, PredefinedParams, "the depositors' own split, read from a column"),
    "scaling": Task(split_scaling, ScalingParams, "manual, trained on some of the covariate states"),
    "scaling-perturbations": Task(
        split_scaling_perturbations, ScalingPerturbationsParams, "transfer, trained on some of the conditions"
    ),
    "imbalance": Task(split_imbalance, ImbalanceParams, "transfer, with fewer conditions in some covariate states"),
    "unseen": Task(split_unseen, UnseenParams, "whole perturbations held out of every covariate state"),
}


def make_split(obs: pd.DataFrame, task: str, keys: ObsKeys, params: object = None) -> pd.Series:
    """Assign each cell to train, val or test.

    The same table, task and parameters give the same split, whatever the hash seed or the machine.

    Args:
        obs: the table of cells, indexed by cell name.
        task: a name in :data:`TASKS`.
        keys: the columns of conditions and covariates, and the control value.
        params: the task's parameters, as its dataclass or as a mapping of option names; None for the
            published defaults.

    Returns:
        (cells,) "train", "val", "test", or "" where a cell is excluded, in the order of ``obs``.

    Raises:
        InputError: the task, a parameter or a column is unknown, a covariate state has no controls, or the
            task cannot be made of this table.
    """
    chosen = require_task(task)
    settings = resolve_params(task, params)
    require_obs(obs, keys)
    require_controls_per_state(obs, keys)
    _report_aliases(obs, keys)
    return chosen.function(obs, keys, settings)


def require_task(task: str) -> Task:
    """The task of that name.

    Raises:
        InputError: there is none; the message names those most like it.
    """
    if task not in TASKS:
        raise InputError(f"No task {task!r}", where="task", fix=nearest(task, TASKS))
    return TASKS[task]


def resolve_params(task: str, params: object = None) -> Any:
    """The task's parameters, from its dataclass, from a mapping, or by default.

    Raises:
        InputError: a name is unknown to the task, a value is out of bounds, or the dataclass is another task's.
    """
    wanted = require_task(task).params
    if params is None:
        return wanted()
    if type(params) is wanted:
        return params
    if not isinstance(params, Mapping):
        raise InputError(
            f"The task {task} takes {wanted.__name__}, not {type(params).__name__}", where="params", fix="Pass that."
        )
    known = [field.name for field in fields(wanted)]
    for name in params:
        if name not in known:
            raise InputError(f"The task {task} has no parameter {name!r}", where="params", fix=nearest(name, known))
    return wanted(**params)


def _report_aliases(obs: pd.DataFrame, keys: ObsKeys) -> None:
    """Say which conditions are the same perturbations in another order: holding one out leaks through the other."""
    if not keys.delimiter:
        return
    named: dict[tuple[str, ...], list[str]] = {}
    for condition in sorted({str(value) for value in obs[keys.perturbation].unique()}):
        parts = (part for part in condition.split(keys.delimiter) if part != keys.control)
        named.setdefault(tuple(sorted(parts)), []).append(condition)
    aliases = [" = ".join(conditions) for conditions in named.values() if len(conditions) > 1]
    if aliases:
        logger.warning("Conditions that name the same perturbations, a leak if one is held out: %s", some(aliases))
