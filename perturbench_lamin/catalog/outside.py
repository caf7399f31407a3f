"""Datasets from outside the package: files ``datasets/<name>.toml`` of a project's folder.

The folder is that of the environment variable :data:`VARIABLE`; without it, the working directory or the nearest one
above that has such files. ``docs/adding-a-dataset.md`` explains each entry.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from perturbench_lamin.catalog.dataset import CHEMICAL, GENETIC, METHODS, Dataset, RawFile, Shape, Task
from perturbench_lamin.errors import InputError, nearest

VARIABLE = "PERTURBENCH_PROJECT"
FOLDER = "datasets"
UNKNOWN = Shape(None)
TEXTS = ("title", "citation", "doi", "licence", "accession", "notes")
TASK_NAMES = tuple(item.name for item in fields(Task))


@dataclass(frozen=True)
class OutsideDataset:
    """A dataset of a project.

    Attributes:
        dataset: its entry of the catalog.
        terms: the fields of its :class:`~perturbench_lamin.metadata.datasets.DatasetTerms`.
        path: the file it is read from.
    """

    dataset: Dataset
    terms: Mapping[str, Any]
    path: Path


def project() -> Path | None:
    """The folder of the project that is worked in; None where there is none."""
    if named := os.environ.get(VARIABLE):
        return Path(named)
    here = Path.cwd()
    return next((folder for folder in (here, *here.parents) if _files(folder)), None)


def dataset_files() -> dict[str, Path]:
    """The files of the project's datasets, by the dataset's name, as they lie there: not read."""
    folder = project()
    return {path.stem: path for path in _files(folder)} if folder else {}


def outside_datasets() -> dict[str, OutsideDataset]:
    """The datasets of the project, by name.

    Raises:
        InputError: a file is not what it must be.
    """
    read = map(read_dataset, dataset_files().values())
    return {one.dataset.name: one for one in read}


def read_dataset(path: Path) -> OutsideDataset:
    """Read a dataset's file.

    Raises:
        InputError: it is not TOML, or an entry is missing, unknown or of another kind.
    """
    try:
        plain = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"Not readable as TOML: {error}", where=path, fix="See docs/adding-a-dataset.md.") from error
    name = path.stem
    _require_known(plain, {"perturbation", "covariates", "raw_files", "tasks", "terms", *TEXTS}, path)
    kind = _entry(plain, "perturbation", str, path)
    if kind not in (GENETIC, CHEMICAL):
        raise InputError(f"Unknown perturbation {kind!r}", where=path, fix=f"Give {GENETIC} or {CHEMICAL}.")
    covariates = tuple(_entry(plain, "covariates", list, path))
    texts = {text: str(plain.get(text, "")) for text in TEXTS}
    dataset = Dataset(
        name=name,
        aliases=(),
        perturbation_type=kind,
        covariates=covariates,
        raw_files=tuple(_raw_file(name, file, path) for file in _entry(plain, "raw_files", list, path)),
        deposited=(),
        tasks=tuple(_task(task, covariates, path) for task in _entry(plain, "tasks", list, path)),
        raw=None,
        curated=UNKNOWN,
        published=UNKNOWN,
        **{**texts, "doi": texts["doi"] or None, "licence": texts["licence"] or None},  # type: ignore[arg-type]
    )
    return OutsideDataset(dataset, dict(_entry(plain, "terms", dict, path)), path)


def _raw_file(dataset: str, plain: Any, path: Path) -> RawFile:
    known = {item.name for item in fields(RawFile)} - {"dataset"}
    _require_known(plain, known, path)
    return RawFile(**{"url": "", **plain, "name": _entry(plain, "name", str, path), "dataset": dataset})


def _task(plain: Any, covariates: tuple[str, ...], path: Path) -> Task:
    _require_known(plain, TASK_NAMES, path)
    method = _entry(plain, "method", str, path)
    if method not in METHODS:
        raise InputError(f"Unknown method of a task {method!r}", where=path, fix=nearest(method, METHODS))
    return Task(**{"covariates": covariates, "name": method, **plain})


def _entry(plain: Mapping[str, Any], name: str, kind: type, path: Path) -> Any:
    if not isinstance(plain.get(name), kind) or not plain[name]:
        raise InputError(f"No {name!r}, or not a {kind.__name__}", where=path, fix="See docs/adding-a-dataset.md.")
    return plain[name]


def _require_known(plain: Any, known: Iterable[str], path: Path) -> None:
    if not isinstance(plain, dict):
        raise InputError(f"Not a table: {plain!r}", where=path, fix="See docs/adding-a-dataset.md.")
    names = sorted(known)
    for name in plain:
        if name not in names:
            raise InputError(f"Unknown entry {name!r}", where=path, fix=nearest(name, names))


def _files(folder: Path) -> list[Path]:
    return sorted((folder / FOLDER).glob("*.toml"))
