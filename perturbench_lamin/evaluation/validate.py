"""Checks of what comes in, so that the inside can trust it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from perturbench_lamin.conditions import ObsKeys, Remark, check_obs, require_controls_per_state
from perturbench_lamin.errors import InputError, some, visible
from perturbench_lamin.evaluation.cells import Cells
from perturbench_lamin.evaluation.groups import Groups, Pair

TABLE_COLUMNS = ("model", "metric", "value")


def require_keys(keys: ObsKeys) -> None:
    """Check that the columns of the results would have distinct names.

    Raises:
        InputError: an obs column is named as a column of the results, or twice.
    """
    columns = [*TABLE_COLUMNS, keys.perturbation, *keys.covariates]
    twice = sorted({name for name in columns if columns.count(name) > 1})
    if twice:
        raise InputError(
            f"Two columns of the results would be named {some(twice)}", where="keys", fix="Rename the obs column."
        )


def accept_truth(cells: Cells, keys: ObsKeys) -> tuple[Cells, tuple[Remark, ...]]:
    """Check the annotation of the true cells.

    Returns:
        The cells, each condition with one spelling; and remarks on its names.

    Raises:
        InputError: see :func:`~perturbench_lamin.conditions.require_obs`; or a covariate state has no control
            cells; or there are only controls.
    """
    checked = check_obs(cells.obs, keys, where=cells.where)
    cells = replace(cells, obs=checked.obs)
    distinct = cells.obs[[*keys.covariates, keys.perturbation]].drop_duplicates()
    require_controls_per_state(distinct, keys, where=cells.where)
    if (distinct[keys.perturbation].astype(str) == keys.control).all():
        raise InputError("There are only control cells", where=cells.where, fix="Add the perturbed cells to score.")
    return cells, checked.remarks


def accept_training(cells: Cells, keys: ObsKeys, truth: Groups) -> tuple[Cells, tuple[Remark, ...]]:
    """Check the annotation of training cells, as :func:`accept_truth`; they need no controls.

    Returns:
        The cells, conditions spelled as in the truth where it has them; and remarks on its names.

    Raises:
        InputError: see :func:`~perturbench_lamin.conditions.require_obs`.
    """
    spelled = {condition for _, condition in truth.pairs}
    checked = check_obs(cells.obs, keys, where=cells.where, controls=False, like=spelled)
    return replace(cells, obs=checked.obs), checked.remarks


def accept_prediction(cells: Cells, keys: ObsKeys, truth: Groups) -> tuple[Cells, tuple[Remark, ...]]:
    """Check the annotation of predicted cells; their names may repeat and mean nothing.

    Returns:
        The cells, conditions spelled as in the truth where it has them; and remarks on its names.

    Raises:
        InputError: see :func:`~perturbench_lamin.conditions.require_obs`.
    """
    unnamed = cells.obs.reset_index(drop=True)
    spelled = {condition for _, condition in truth.pairs}
    checked = check_obs(unnamed, keys, where=cells.where, controls=False, like=spelled)
    return replace(cells, obs=checked.obs.set_axis(cells.obs.index)), checked.remarks


def gene_order(genes: pd.Index, cells: Cells) -> np.ndarray:
    """For each of ``genes``, its column in ``cells``.

    Raises:
        InputError: the two have not the same genes.
    """
    missing, extra = genes.difference(cells.genes), cells.genes.difference(genes)
    if len(missing) or len(extra):
        named = (("missing", missing), ("not in the truth", extra))
        lists = [f"{what}: {some(map(visible, names))}" for what, names in named if len(names)]
        raise InputError(
            f"The genes are not those of the truth: {len(missing):,} are missing, {len(extra):,} are not in the truth",
            where=f"{cells.where}, var_names",
            fix=f"Predict the {len(genes):,} genes of the truth ({'; '.join(lists)}). Their order does not matter.",
        )
    return np.asarray(cells.genes.get_indexer(genes))


def require_predicted(truth: Groups, predicted: Groups, keys: ObsKeys, where: object, *, allow_missing: bool) -> None:
    """Check that all pairs of the truth are predicted; with ``allow_missing``, that any is.

    Raises:
        InputError: some are not; the message names them, and covariate values that the truth has not.
    """
    known = set(predicted.perturbed)
    missing = [pair for pair in truth.perturbed if pair not in known]
    if not missing or (allow_missing and len(missing) < len(truth.perturbed)):
        return
    raise InputError(
        f"No prediction for {len(missing):,} of the {len(truth.perturbed):,} conditions of the truth: "
        f"{some(map(pair_name, missing))}",
        where=where,
        fix=f"Predict them, or allow missing ones. The prediction has "
        f"{some(map(pair_name, predicted.perturbed)) or 'control cells alone'}."
        + _unknown_values(truth, predicted, keys),
    )


def pair_name(pair: Pair) -> str:
    """A pair for a message: ``K562/KLF1``."""
    return "/".join((*pair[0], pair[1]))


def _unknown_values(truth: Groups, predicted: Groups, keys: ObsKeys) -> str:
    parts: Sequence[str] = [
        f" Column {name!r} has values that the truth has not ({some(unknown, 4)}; the truth: {some(known, 4)})."
        for position, name in enumerate(keys.covariates)
        if (unknown := sorted(_values(predicted, position) - _values(truth, position)))
        and (known := sorted(_values(truth, position)))
    ]
    return "".join(parts)


def _values(groups: Groups, position: int) -> set[str]:
    return {state[position] for state, _ in groups.pairs}
