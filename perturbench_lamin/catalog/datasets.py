"""Find a dataset by name, and list them all."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from importlib import import_module
from types import MappingProxyType
from typing import TYPE_CHECKING

from perturbench_lamin.catalog.dataset import Dataset
from perturbench_lamin.errors import InputError, nearest

if TYPE_CHECKING:
    import pandas as pd

NAMES = ("norman19", "srivatsan20", "frangieh21", "mcfaline24", "jiang25", "szalata24")
"""Each has a file of its name beside this one."""


class _Datasets(Mapping[str, Dataset]):
    """Name → dataset. A dataset's file is read when it is asked for: a step depends on its own dataset alone."""

    def __getitem__(self, name: str) -> Dataset:
        if name not in NAMES:
            raise KeyError(name)
        found: Dataset = import_module(f"{__package__}.{name}").DATASET
        return found

    def __iter__(self) -> Iterator[str]:
        return iter(NAMES)

    def __len__(self) -> int:
        return len(NAMES)


DATASETS: Mapping[str, Dataset] = _Datasets()


@cache
def aliases() -> Mapping[str, str]:
    """Other names → name."""
    return MappingProxyType({alias: dataset.name for dataset in DATASETS.values() for alias in dataset.aliases})


def all_datasets() -> dict[str, Dataset]:
    """The catalog's datasets, then those of the project that is worked in.

    Raises:
        InputError: a dataset's file of the project is not what it must be, or has a name of the catalog.
    """
    from perturbench_lamin.catalog.outside import outside_datasets

    outside = outside_datasets()
    for name in outside:
        if name in DATASETS or name in aliases():
            raise InputError(
                f"There is a dataset {name!r} already", where=outside[name].path, fix="Give the file another name."
            )
    return {**DATASETS, **{name: one.dataset for name, one in outside.items()}}


def find_dataset(name: str) -> Dataset | None:
    """The dataset of that very name, of the catalog or the project; no other dataset's file of the catalog is read.

    Raises:
        InputError: a dataset's file of the project is not what it must be.
    """
    from perturbench_lamin.catalog.outside import outside_datasets

    if name in DATASETS:
        return DATASETS[name]
    outside = outside_datasets().get(name)
    return outside.dataset if outside else None


def get_dataset(name: str) -> Dataset:
    """As :func:`find_dataset`.

    Raises:
        InputError: no dataset has that name; the message says which names are like it.
    """
    key = name.lower()
    found = DATASETS.get(key) or find_dataset(name) or DATASETS.get(aliases().get(key, ""))
    if found is None:
        raise InputError(
            f"No dataset {name!r}", where="catalog", fix=nearest(name.lower(), [*all_datasets(), *aliases()])
        )
    return found


def datasets_table() -> pd.DataFrame:
    """One row a dataset: what it is, how large, which tasks; for printing."""
    import pandas as pd

    return pd.DataFrame([_row(dataset) for dataset in all_datasets().values()]).set_index("name")


def _row(dataset: Dataset) -> dict[str, object]:
    return {
        "name": dataset.name,
        "aliases": ", ".join(dataset.aliases),
        "perturbation": dataset.perturbation_type,
        "cells": dataset.curated.cells,
        "genes": dataset.curated.genes,
        "conditions": dataset.curated.conditions,
        "covariates": ", ".join(dataset.covariates),
        "tasks": ", ".join(task.name for task in dataset.tasks),
        "raw files": len(dataset.raw_files),
        "accession": dataset.accession,
        "citation": dataset.citation,
        "doi": dataset.doi or "",
        "licence": dataset.licence or "",
    }
