"""What the rooms hand to each other: the names and layout of curated files, splits and metric tables."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from perturbench_lamin.conditions import ObsKeys
from perturbench_lamin.errors import InputError, IntegrityError

SCHEMA_VERSION = "1"
UNS_KEY = "perturbench"
COUNTS_LAYER = "counts"

SPLIT_NAMES = ("train", "val", "test")
"""A split file has two columns without a header, cell and one of these; empty where a cell is excluded."""


@dataclass(frozen=True)
class CuratedInfo:
    """What a curated file says of itself in ``uns["perturbench"]``.

    Attributes:
        dataset: the dataset's name, empty for a file from outside the catalog.
        keys: which obs columns hold conditions and covariates.
        parameters: how the file was made: plain JSON values.
        conditions: the table ``condition, position, token``.
    """

    dataset: str
    keys: ObsKeys
    parameters: Mapping[str, Any] = field(default_factory=dict)
    conditions: pd.DataFrame = field(default_factory=pd.DataFrame, compare=False)

    def to_uns(self) -> dict[str, Any]:
        """The dictionary that :mod:`anndata` writes under ``uns["perturbench"]``."""
        return {
            "schema_version": SCHEMA_VERSION,
            "dataset": self.dataset,
            "perturbation_key": self.keys.perturbation,
            "covariate_keys": json.dumps(list(self.keys.covariates)),
            "control": self.keys.control,
            "delimiter": self.keys.delimiter or "",
            "parameters": json.dumps(dict(self.parameters), sort_keys=True),
            "conditions": self.conditions.reset_index(drop=True),
        }

    @classmethod
    def from_uns(cls, uns: Mapping[str, Any], *, where: object = "uns") -> CuratedInfo:
        """Read it back.

        Raises:
            InputError: the file was not curated by this package, or by a newer schema.
            IntegrityError: the block lacks a part, or has one of another kind.
        """
        block = uns.get(UNS_KEY)
        if block is None:
            raise InputError(
                f"No uns[{UNS_KEY!r}]: not a curated file",
                where=where,
                fix="Make one with `perturbench-lamin preprocess`.",
            )
        try:
            return cls._parsed(block, where)
        except (LookupError, TypeError, AttributeError, ValueError) as error:
            if isinstance(error, InputError):
                raise
            raise IntegrityError(
                f"uns[{UNS_KEY!r}] is damaged ({type(error).__name__}: {str(error)!r})",
                where=where,
                fix="Fetch the file again, or curate it again with `perturbench-lamin preprocess`.",
            ) from error

    @classmethod
    def _parsed(cls, block: Mapping[str, Any], where: object) -> CuratedInfo:
        if str(block["schema_version"]) != SCHEMA_VERSION:
            raise InputError(
                f"Curated by schema {block['schema_version']}, this package reads schema {SCHEMA_VERSION}", where=where
            )
        keys = ObsKeys(
            perturbation=str(block["perturbation_key"]),
            covariates=tuple(json.loads(block["covariate_keys"])),
            control=str(block["control"]),
            delimiter=str(block["delimiter"]) or None,
        )
        conditions = block["conditions"]
        conditions[["condition", "token"]]  # a table with these columns, or it is damaged
        return cls(str(block["dataset"]), keys, json.loads(block["parameters"]), conditions)
