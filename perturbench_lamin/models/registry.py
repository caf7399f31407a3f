"""The models by name. Imports a model's file only when it is asked for, so that listing them is fast."""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import cache
from importlib import import_module
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any

from perturbench_lamin.errors import InputError, nearest

if TYPE_CHECKING:
    from perturbench_lamin.loading.vocabulary import Vocabulary
    from perturbench_lamin.models.base import PerturbationModel
    from perturbench_lamin.models.hyperparameters import Hyperparameters

GROUP = "perturbench_lamin.models"
"""The group of entry points by which installed packages offer models: ``name = "module:Class"``."""
MODELS: dict[str, str] = {
    "control_mean": "ControlMean",
    "perturbation_mean": "PerturbationMean",
    "additive": "Additive",
    "linear_embedding": "LinearEmbedding",
    "linear": "Linear",
    "latent_additive": "LatentAdditive",
    "decoder_only": "DecoderOnly",
    "cpa": "CPA",
    "sams_vae": "SAMSVAE",
    "biolord": "BioLord",
}
"""Name → class, in the file of the model's name beside this one."""
EXTERNAL: dict[str, str] = {"gears": "Gears", "state": "State", "cellflow": "CellFlow"}
"""Models of other packages, likewise, in the folder ``external``: docs/external-models.md says what to install."""

VARIABLE = "PERTURBENCH_MODELS"
"""Environment variable: ``name=module:Class`` of further models, separated by spaces, for processes begun later."""
_REGISTERED: dict[str, str] = {}


def register(name: str, location: str) -> None:
    """Make a model from outside the package known in this process.

    Args:
        name: the model's name, its class's ``name`` too.
        location: ``"module:Class"``.

    Raises:
        InputError: the location has another form, or the name means another model.
    """
    module, _, kind = location.partition(":")
    if not module or not kind.isidentifier():
        raise InputError(f"{location!r} is no place of a class", where=f"model {name}", fix='Give "module:Class".')
    if locations().get(name, location) != location:
        raise InputError(f"There is a model {name!r} already", where="models", fix="Choose another name.")
    _REGISTERED[name] = location


def known_as(model: str) -> str:
    """A model's name; one that is given by its place, ``"module:Class"``, is made known, to processes begun later too.

    Raises:
        InputError: there is no such class, or its name means another model.
    """
    if ":" not in model:
        return model
    module, _, kind = model.partition(":")
    try:
        name = getattr(import_module(module), kind).name
    except (ImportError, AttributeError) as error:
        raise InputError(
            f"Cannot import the model: {error}",
            where=model,
            fix='Give "module:Class", of a module on PYTHONPATH or in the working directory, whose class has a name.',
        ) from error
    register(name, model)
    known = dict.fromkeys([*os.environ.get(VARIABLE, "").split(), f"{name}={model}"])
    os.environ[VARIABLE] = " ".join(known)
    return name


def locations() -> dict[str, str]:
    """Every model's name → ``"module:Class"``: installed packages', registered ones, the package's own.

    Of two of one name the later in this order is meant.
    """
    own = {name: f"{__package__}.{name}:{kind}" for name, kind in MODELS.items()}
    external = {name: f"{__package__}.external.{name}:{kind}" for name, kind in EXTERNAL.items()}
    handed = dict(word.split("=", 1) for word in os.environ.get(VARIABLE, "").split())
    return {**_offered(), **handed, **_REGISTERED, **external, **own}


@cache
def _offered() -> dict[str, str]:
    return {point.name: point.value for point in entry_points(group=GROUP)}


def model_class(name: str) -> type[PerturbationModel]:
    """The class of a model.

    Raises:
        InputError: there is no model of that name, or its place holds none of that name.
    """
    known = locations()
    if name not in known:
        raise InputError(f"Unknown model {name!r}", where="models", fix=nearest(name, known))
    module, _, kind = known[name].partition(":")
    try:
        found: type[PerturbationModel] = getattr(import_module(module), kind)
    except (ImportError, AttributeError) as error:
        raise InputError(f"Cannot import the model: {error}", where=f"{name} = {known[name]}") from error
    if getattr(found, "name", None) != name:
        raise InputError(
            f"The class has the name {getattr(found, 'name', None)!r}",
            where=f"{name} = {known[name]}",
            fix=f'Set name = "{name}" in the class.',
        )
    return found


def hyperparameters(name: str, values: Mapping[str, Any] | None = None) -> Hyperparameters:
    """A model's hyperparameters: the defaults, with ``values`` instead where given.

    Raises:
        InputError: the model or a hyperparameter is unknown, or a value does not fit.
    """
    from perturbench_lamin.models.hyperparameters import parse

    return parse(model_class(name).hyperparameters_type, values or {}, where=f"model {name}")


def build(name: str, values: Mapping[str, Any] | None, vocabulary: Vocabulary) -> PerturbationModel:
    """A fresh model.

    Args:
        name: of :func:`locations`.
        values: hyperparameters other than the defaults.
        vocabulary: what the training cells contain.

    Raises:
        InputError: as :func:`hyperparameters`.
    """
    return model_class(name)(hyperparameters(name, values), vocabulary)
