"""Hyperparameters: frozen dataclasses, checked by name and type."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, ClassVar, TypeVar

from perturbench_lamin.errors import InputError, nearest
from perturbench_lamin.files import sha256

H = TypeVar("H", bound="Hyperparameters")


@dataclass(frozen=True)
class Hyperparameters:
    """What every model's hyperparameters derive from.

    Attributes:
        files: those that are paths of files, empty for none: the files' content decides a training, too.
    """

    files: ClassVar[tuple[str, ...]] = ()

    def digests(self) -> dict[str, str]:
        """SHA-256 of each file that is named.

        Raises:
            InputError: there is no such file.
        """
        named = {name: Path(getattr(self, name)) for name in self.files if getattr(self, name)}
        for name, path in named.items():
            if not path.is_file():
                raise InputError(f"No such file for {name}", where=path, fix="Give the path of a file that is there.")
        return {name: sha256(path) for name, path in named.items()}


@dataclass(frozen=True)
class GradientHyperparameters(Hyperparameters):
    """Hyperparameters of a model that gradient descent fits.

    Attributes:
        lr: Adam's learning rate.
        wd: Adam's weight decay, coupled (added to the gradient).
    """

    lr: float = 1e-3
    wd: float = 1e-5

    def __post_init__(self) -> None:
        for item in fields(self):
            _check_range(item.name, getattr(self, item.name))


def parse(kind: type[H], values: Mapping[str, Any], *, where: str) -> H:
    """Hyperparameters of a kind from a mapping.

    Raises:
        InputError: a name is unknown, a value has another type than the default, or is out of range.
    """
    known = {item.name: item.default for item in fields(kind)}
    for name, value in values.items():
        if name not in known:
            raise InputError(f"Unknown hyperparameter {name!r}", where=where, fix=nearest(name, known))
        if not _fits(value, known[name]):
            raise InputError(
                f"{name} is {value!r}, not a {type(known[name]).__name__}",
                where=where,
                fix=f"The default is {known[name]!r}.",
            )
    # An integer given for a real number becomes one, so that the checkpoint says the same either way.
    return kind(**{k: float(v) if type(known[k]) is float else v for k, v in values.items()})


def _fits(value: Any, default: Any) -> bool:
    if isinstance(default, bool) or isinstance(value, bool):
        return isinstance(value, bool) and isinstance(default, bool)
    if isinstance(default, float):
        return isinstance(value, (int, float))
    return isinstance(value, type(default))


_RULES: dict[str, tuple[Callable[[float], bool], str]] = {
    "positive": (lambda value: 0 < value < math.inf, "more than 0"),
    "not negative": (lambda value: 0 <= value < math.inf, "at least 0"),
    "share": (lambda value: 0 <= value < 1, "at least 0 and less than 1"),
    "probability": (lambda value: 0 < value < 1, "more than 0 and less than 1"),
}


def _rule(name: str) -> str:
    """Which range a hyperparameter has, by its name."""
    if name == "dropout":
        return "share"
    if name.endswith("_probability"):
        return "probability"
    counted = "n_layers" in name or name == "n_warmup_epochs"
    return "not negative" if counted or name in ("wd", "noise") or name.endswith("_weight") else "positive"


def _check_range(name: str, value: Any) -> None:
    if isinstance(value, bool | str):
        return
    good, words = _RULES[_rule(name)]
    if not good(value):
        raise InputError(f"{name} is {value}", where="hyperparameters", fix=f"Give {words}.")
