"""What the columns of a dataset mean: which registry explains which column."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from perturbench_lamin.errors import InputError, nearest
from perturbench_lamin.metadata.terms import (
    CELL_LINE,
    CELL_TYPE,
    CO_CULTURE,
    COMPOUND,
    CYTOKINE,
    GENE,
    HORMONE,
    REGISTRIES,
)

UNTREATED = "none"
"""The value of the treatment column that means no treatment."""


@dataclass(frozen=True)
class DatasetTerms:
    """How to read a dataset's columns.

    Attributes:
        condition: what a perturbation is: ``gene`` or ``compound``.
        system: how genes were perturbed, a word of :data:`pertdb.GeneticPerturbationSystem`; empty for compounds.
        columns: column of cells to the registries that may explain its values, in that order.
    """

    condition: str
    system: str = ""
    columns: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: {"cell_type": (CELL_LINE, CELL_TYPE)})

    def __post_init__(self) -> None:
        if self.condition not in (GENE, COMPOUND):
            raise InputError(
                f"Unknown kind of perturbation {self.condition!r}", where="DatasetTerms", fix="Known: gene, compound."
            )
        if (self.condition == GENE) != bool(self.system):
            raise InputError(
                "Perturbed genes need the system that perturbed them, compounds have none",
                where="DatasetTerms",
                fix="Such as CRISPRi, CRISPRa or CRISPR-Cas9.",
            )


LINES: Mapping[str, tuple[str, ...]] = {"cell_type": (CELL_LINE,)}

DATASETS: Mapping[str, DatasetTerms] = {
    "norman19": DatasetTerms(GENE, "CRISPRa", LINES),
    "srivatsan20": DatasetTerms(COMPOUND, columns=LINES),
    # The study knocked genes out, whatever the deposited files call it.
    "frangieh21": DatasetTerms(GENE, "CRISPR-Cas9", {"cell_type": (CELL_TYPE,), "treatment": (CYTOKINE, CO_CULTURE)}),
    "mcfaline24": DatasetTerms(GENE, "CRISPRi", {**LINES, "treatment": (COMPOUND,)}),
    "jiang25": DatasetTerms(GENE, "CRISPRi", {**LINES, "treatment": (CYTOKINE, HORMONE)}),
    "szalata24": DatasetTerms(COMPOUND, columns={"cell_type": (CELL_TYPE,)}),
}


def terms_of(dataset: str) -> DatasetTerms:
    """How to read the columns of a dataset of the catalog, or of the project that is worked in.

    Raises:
        InputError: it is in neither, or the project's file has other entries than :class:`DatasetTerms`.
    """
    from perturbench_lamin.catalog.outside import outside_datasets

    if dataset in DATASETS:
        return DATASETS[dataset]
    outside = outside_datasets()
    if dataset not in outside:
        raise InputError(
            f"It is not known what the columns of {dataset!r} mean",
            where="dataset",
            fix=f"Pass `terms=DatasetTerms(...)`. {nearest(dataset, [*DATASETS, *outside])}",
        )
    return _terms(outside[dataset].terms, outside[dataset].path)


def _terms(plain: Mapping[str, Any], path: Path) -> DatasetTerms:
    """The entries of a file's table ``terms``."""
    known = [item.name for item in fields(DatasetTerms)]
    for name in plain:
        if name not in known:
            raise InputError(f"Unknown entry {name!r} of terms", where=path, fix=nearest(name, known))
    columns = plain.get("columns", {})
    for name, registries in columns.items():
        for registry in registries:
            if registry not in REGISTRIES:
                raise InputError(
                    f"Unknown registry {registry!r} of column {name!r}", where=path, fix=nearest(registry, REGISTRIES)
                )
    return DatasetTerms(**{**plain, "columns": {name: tuple(registries) for name, registries in columns.items()}})
