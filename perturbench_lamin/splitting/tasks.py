"""The registry of tasks, and the one function that makes a split."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any

import pandas as pd

from perturbench_lamin.conditions import ObsKeys, check_obs, require_controls_per_state
from perturbench_lamin.errors import InputError, nearest
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
        function: ``(obs, keys, params) -> split``; may trust that ``obs`` has the columns and controls, and one
            spelling a condition.
        params: the frozen dataclass of its parameters; its field names are option names.
        summary: one line for ``--help``.
        asks_unseen: whether it asks, by definition, for perturbations that training lacks.
    """

    function: Callable[[pd.DataFrame, ObsKeys, Any], pd.Series]
    params: type
    summary: str
    asks_unseen: bool = False


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
    "unseen": Task(
        split_unseen, UnseenParams, "whole perturbations held out of every covariate state", asks_unseen=True
    ),
}


def make_split(obs: pd.DataFrame, task: str, keys: ObsKeys, params: object = None) -> pd.Series:
    """Draw each cell's part: train, val or test, as the task is defined, what no model can predict included.

    The same table, task and parameters give the same split, whatever the hash seed or the machine, the type of the
    columns, the order of their categories or the spelling of a single (``A`` or ``A+control``). The order of the rows
    has a say: control cells are dealt out by position, and each task says what else goes by first appearance.
    :func:`~perturbench_lamin.splitting.every_task.make_frozen_split` excludes what no model can predict.

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
    return chosen.function(accept_obs(obs, keys), keys, settings)


def accept_obs(obs: pd.DataFrame, keys: ObsKeys, *, where: object = "obs") -> pd.DataFrame:
    """The table with one spelling a condition; logs what a reader must know of its names.

    Args:
        obs: the table of cells.
        keys: its columns.
        where: the file, for messages.

    Raises:
        InputError: see :func:`~perturbench_lamin.conditions.require_obs`; or a covariate state has no controls.
    """
    checked = check_obs(obs, keys, where=where)
    require_controls_per_state(checked.obs, keys, where=where)
    for remark in checked.remarks:
        logger.warning("%s", remark)
    return checked.obs


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
