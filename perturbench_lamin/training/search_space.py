"""What a search may vary: a model's published space, or one from a file."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
    distribution_to_json,
)

from perturbench_lamin.errors import InputError, nearest
from perturbench_lamin.models.registry import hyperparameters, model_class
from perturbench_lamin.storage.plain_file import read_json
from perturbench_lamin.training.search_spaces import SPACES, Space

FORM = 'Give {"low": …, "high": …} with "log": true or "step": …, or a list of values.'
BOUNDS = ("low", "high", "log", "step")


def search_space(model: str) -> Space:
    """The published search space of a model.

    Raises:
        InputError: the model is unknown, is computed in closed form, or has no published space.
    """
    if model_class(model).epochs is not None:
        raise InputError(f"The model {model!r} is computed in closed form", where="tune", fix="It needs no search.")
    if model not in SPACES:
        raise InputError(
            f"No search space is published for {model!r}",
            where="tune",
            fix=f"Name its hyperparameters and their ranges in a file. {FORM}",
        )
    _require_known(model, SPACES[model], where=f"search space of {model}")
    return SPACES[model]


def read_space(path: str | Path, model: str) -> Space:
    """A search space from a JSON file: hyperparameter → range or list of values.

    A range is one of whole numbers where the hyperparameter is a whole number.

    Raises:
        InputError: the file cannot be read, a name is not a hyperparameter of the model, or a range is wrong.
    """
    return parse_space(read_json(path), model, where=path)


def parse_space(plain: Any, model: str, *, where: object) -> Space:
    """A search space from plain values, as :func:`read_space` reads them.

    Raises:
        InputError: a name is not a hyperparameter of the model, or a range is wrong.
    """
    if not isinstance(plain, dict) or not plain:
        raise InputError("No search space", where=where, fix=FORM)
    _require_known(model, plain, where=where)
    defaults = asdict(hyperparameters(model))
    return {name: _distribution(name, value, defaults[name], where) for name, value in plain.items()}


def space_to_dict(space: Space) -> dict[str, Any]:
    """Plain values that say what a space is."""
    return {name: json.loads(distribution_to_json(distribution)) for name, distribution in sorted(space.items())}


def _distribution(name: str, plain: Any, default: Any, where: object) -> BaseDistribution:
    try:
        if isinstance(plain, list):
            return CategoricalDistribution(plain)
        known = {key: plain[key] for key in plain if key in BOUNDS}
        if len(known) < len(plain):
            raise ValueError(f"unknown entry {sorted(set(plain) - set(known))[0]!r}")
        if not all(math.isfinite(known[name]) for name in ("low", "high")):
            raise ValueError("a bound is no number")
        whole = isinstance(default, int) and not isinstance(default, bool)
        return IntDistribution(**known) if whole else FloatDistribution(**known)
    except (TypeError, ValueError, KeyError) as error:
        raise InputError(f"Not a range for {name!r}: {error}", where=where, fix=FORM) from error


def _require_known(model: str, names: Mapping[str, Any], *, where: object) -> None:
    known = asdict(hyperparameters(model))
    for name in names:
        if name not in known:
            raise InputError(f"{model} has no hyperparameter {name!r}", where=where, fix=nearest(name, known))
