"""The models by name. Imports a model's file only when it is asked for, so that listing them is fast."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any

from perturbench_lamin.errors import InputError, nearest

if TYPE_CHECKING:
    from perturbench_lamin.loading.vocabulary import Vocabulary
    from perturbench_lamin.models.base import PerturbationModel
    from perturbench_lamin.models.hyperparameters import Hyperparameters

MODELS: dict[str, str] = {
    "control_mean": "ControlMean",
    "perturbation_mean": "PerturbationMean",
    "additive": "Additive",
    "linear": "Linear",
    "latent_additive": "LatentAdditive",
    "decoder_only": "DecoderOnly",
}
"""Name → class, in the file of the model's name beside this one."""
EXTERNAL: dict[str, str] = {"gears": "Gears", "state": "State", "cellflow": "CellFlow"}
"""Models of other packages, likewise, in the folder ``external``: docs/external-models.md says what to install."""


def model_class(name: str) -> type[PerturbationModel]:
    """The class of a model.

    Raises:
        InputError: there is no model of that name.
    """
    known, folder = MODELS | EXTERNAL, "external." * (name in EXTERNAL)
    if name not in known:
        raise InputError(f"Unknown model {name!r}", where="models", fix=nearest(name, known))
    found: type[PerturbationModel] = getattr(import_module(f"perturbench_lamin.models.{folder}{name}"), known[name])
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
        name: a key of :data:`MODELS` or :data:`EXTERNAL`.
        values: hyperparameters other than the defaults.
        vocabulary: what the training cells contain.

    Raises:
        InputError: as :func:`hyperparameters`.
    """
    return model_class(name)(hyperparameters(name, values), vocabulary)
