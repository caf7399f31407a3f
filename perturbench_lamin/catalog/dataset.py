"""The record kept of a dataset."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from perturbench_lamin.errors import InputError, nearest

GENETIC: Literal["genetic"] = "genetic"
CHEMICAL: Literal["chemical"] = "chemical"
METHODS = (
    *("transfer", "combine", "combine-inverse", "manual", "predefined"),
    *("scaling", "scaling-perturbations", "imbalance", "unseen"),
)
"""The names of :data:`perturbench_lamin.splitting.tasks.TASKS`: who only looks a dataset up needs none of its code."""


@dataclass(frozen=True)
class RawFile:
    """A file of a deposit, as its depositors named it.

    Attributes:
        name: the file's name.
        url: where it is.
        dataset: the dataset it belongs to, also its folder in a mirror.
        sha256: its checksum, 64 hexadecimal digits; None where it is not known. A checksum stands here only if
            the depositor or an own download gave it: otherwise the first fetch records it and later ones must agree.
        md5: the same, 32 digits: what some archives publish.
        size: bytes; None where it is not known.
    """

    name: str
    url: str
    dataset: str
    sha256: str | None = None
    md5: str | None = None
    size: int | None = None


@dataclass(frozen=True)
class Task:
    """A prediction task: which cells a model sees, and which it is asked for.

    Attributes:
        name: unique within the dataset; its split file is named for it.
        method: the splitting method, one of :data:`METHODS`, a name in
            :data:`perturbench_lamin.splitting.tasks.TASKS`.
        covariates: the obs columns whose values make up a covariate state.
        parameters: the method's parameters, under its option names.
        seed: of the method's random draws.
    """

    name: str
    method: str
    covariates: tuple[str, ...]
    parameters: Mapping[str, Any] = field(default_factory=dict)
    seed: int = 42

    @property
    def options(self) -> dict[str, Any]:
        """The parameters with the seed among them, as :func:`perturbench_lamin.splitting.tasks.make_split` takes them.

        A notebook may change single ones: ``{**task.options, "max_heldout_covariates": 2}``.
        """
        return {**self.parameters, "seed": self.seed}


def unseen_task(covariates: tuple[str, ...]) -> Task:
    """The task that the published benchmark lacks and the field asks for: whole genes or compounds held out."""
    return Task("unseen", "unseen", covariates, {"max_heldout_fraction": 0.3}, seed=42)


@dataclass(frozen=True)
class Shape:
    """How large a table of cells is; None where the number is not published.

    Attributes:
        cells: rows.
        genes: columns.
        conditions: different conditions, the control among them.
    """

    cells: int | None
    genes: int | None = None
    conditions: int | None = None


@dataclass(frozen=True)
class Dataset:
    """A perturbation screen and how the benchmark uses it.

    Attributes:
        name: first author and year of publication.
        aliases: other names in use.
        title: of the publication.
        citation: authors, journal, year.
        doi: of the publication; None where it has none.
        licence: of the raw files, as an SPDX identifier; None where the archive states none.
        accession: of the raw data.
        perturbation_type: ``genetic`` or ``chemical``.
        covariates: the obs columns that make up a covariate state after curation.
        raw_files: the deposit that curation starts from.
        deposited: the curated files of the published benchmark, to compare with.
        tasks: the published benchmark's, first the one of its main tables; and ``unseen``, which it lacks.
        raw: expected shape of the raw data.
        curated: expected shape after the public curation recipe.
        published: shape of the deposited curated file or of the paper. It differs from ``curated`` where the
            deposit was made by another recipe.
        notes: what a user should know before comparing numbers.
    """

    name: str
    aliases: tuple[str, ...]
    title: str
    citation: str
    doi: str | None
    licence: str | None
    accession: str
    perturbation_type: Literal["genetic", "chemical"]
    covariates: tuple[str, ...]
    raw_files: tuple[RawFile, ...]
    deposited: tuple[RawFile, ...]
    tasks: tuple[Task, ...]
    raw: Shape | None
    curated: Shape
    published: Shape
    notes: str = ""

    def raw_file(self, name: str) -> RawFile:
        """A raw file by name.

        Raises:
            InputError: the dataset has no such file.
        """
        return _find(self.raw_files, name, f"raw files of {self.name}")

    def task(self, name: str) -> Task:
        """A task by name.

        Raises:
            InputError: the dataset has no such task.
        """
        return _find(self.tasks, name, f"tasks of {self.name}")


def _find(items: tuple[Any, ...], name: str, where: str) -> Any:
    for item in items:
        if item.name == name:
            return item
    raise InputError(f"No {name!r}", where=where, fix=nearest(name, (item.name for item in items)))
