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

TOKEN_COLUMNS = ("condition", "position", "token")
"""Of the table of a curated file's conditions."""

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
        except (LookupError, TypeError, AttributeError, ValueError, RecursionError) as error:
            raise IntegrityError(
                f"uns[{UNS_KEY!r}] is damaged: {_told(error)}",
                where=where,
                fix="Fetch the file again, or curate it again with `perturbench-lamin preprocess`.",
            ) from error

    @classmethod
    def _parsed(cls, block: Mapping[str, Any], where: object) -> CuratedInfo:
        if str(block["schema_version"]) != SCHEMA_VERSION:
            raise InputError(
                f"Curated by schema {str(block['schema_version'])!r}, this package reads schema {SCHEMA_VERSION}",
                where=where,
            )
        keys = ObsKeys(
            perturbation=_text(block, "perturbation_key"),
            covariates=tuple(_json(block, "covariate_keys", list)),
            control=_text(block, "control"),
            delimiter=_text(block, "delimiter", empty=True) or None,
        )
        _require_names((keys.perturbation, *keys.covariates))
        parameters = _json(block, "parameters", dict)
        return cls(_text(block, "dataset", empty=True), keys, parameters, _conditions(block["conditions"]))


def _text(block: Mapping[str, Any], name: str, *, empty: bool = False) -> str:
    value = block[name]
    if not isinstance(value, str) or not (value or empty):
        raise TypeError(f"{name!r} is {value!r}, not a text")
    return str(value)


def _json(block: Mapping[str, Any], name: str, kind: type) -> Any:
    text = _text(block, name)
    try:
        value = json.loads(text)
    except ValueError as error:
        raise ValueError(f"{name!r} is not JSON: {error}") from error
    if not isinstance(value, kind):
        raise TypeError(f"{name!r} is {text!r}, not a {kind.__name__}")
    return value


def _require_names(columns: tuple[Any, ...]) -> None:
    if not all(isinstance(name, str) and name for name in columns) or len(set(columns)) < len(columns):
        raise ValueError(f"the obs columns are {list(columns)!r}: not names, or one of them twice")


def _conditions(table: Any) -> pd.DataFrame:
    if not isinstance(table, pd.DataFrame):
        raise TypeError(f"'conditions' is no table, but {type(table).__name__}")
    lacking = [name for name in TOKEN_COLUMNS if name not in table]
    if lacking:
        raise KeyError(f"conditions/{lacking[0]}")
    for name in TOKEN_COLUMNS:
        if table[name].isna().any():
            raise ValueError(f"'conditions' has rows without {name}")
    if not pd.api.types.is_integer_dtype(table["position"]):
        raise TypeError(f"'conditions/position' is of type {table['position'].dtype}")
    twice = table[table.duplicated(["condition", "position"])]
    if len(twice):
        raise ValueError(f"'conditions' has {str(twice['condition'].iloc[0])!r} twice at one position")
    return table


def _told(error: BaseException) -> str:
    if isinstance(error, KeyError):
        return f"it has no {error.args[0]!r}" if error.args else "a part is missing"
    return next(iter(str(error).splitlines()), type(error).__name__)
