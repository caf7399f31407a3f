"""Import a package that a wrapped model needs, without what its import changes around it."""

from __future__ import annotations

import importlib
import warnings
from dataclasses import dataclass
from typing import Any

import torch

from perturbench_lamin.errors import InputError

GUIDE = "docs/external-models.md"


@dataclass(frozen=True)
class Extra:
    """A package outside of this one's dependencies.

    Attributes:
        distribution: its name in the package index.
        install: what to give to ``pip install``.
    """

    distribution: str
    install: str

    def module(self, name: str) -> Any:
        """Import one of its modules.

        Some of these packages seed torch, or silence all warnings, when they are imported: both are put back.

        Raises:
            InputError: it is not installed, or what it needs is not.
        """
        try:
            with warnings.catch_warnings(), torch.random.fork_rng():
                warnings.simplefilter("ignore")
                return importlib.import_module(name)
        except ImportError as error:
            raise InputError(
                f"The package {self.distribution} cannot be imported: {error}",
                where=name,
                fix=f"Install it with: pip install {self.install} (which versions fit together: {GUIDE}).",
            ) from error


GEARS = Extra("cell-gears", "cell-gears==0.1.2 torch-geometric")
STATE = Extra("arc-state", "arc-state==0.11.1")
CELLFLOW = Extra("cellflow-tools", "cellflow-tools==0.0.9")
