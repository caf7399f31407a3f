"""The files of the published benchmark's own deposit, as its description of September 2025 lists them.

The checksums stand in ``deposited_files.csv``. They come from the Croissant description in PerturBench's repository;
the deposit may have been changed since. That description adds ``.gz`` to the name of
``norman19_cpa_hvg_normalized_curated.h5ad``, which is deposited uncompressed.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Literal

from perturbench_lamin.catalog.datasets import get_dataset
from perturbench_lamin.errors import InputError, nearest

TABLE = "deposited_files.csv"


@dataclass(frozen=True)
class PublishedFile:
    """A file of the deposit.

    Attributes:
        name: as deposited.
        dataset: its dataset in the catalog.
        kind: ``cells`` (an h5ad file) or ``splits`` (a table, or an archive of tables).
        cells: for splits, the file whose cells they assign.
        sha256: the published checksum of the deposited bytes.
    """

    name: str
    dataset: str
    kind: Literal["cells", "splits"]
    cells: str
    sha256: str


@cache
def published_files() -> tuple[PublishedFile, ...]:
    """All files of the deposit."""
    text = files("perturbench_lamin.comparison").joinpath(TABLE).read_text(encoding="utf-8")
    return tuple(
        PublishedFile(
            row["file"], row["dataset"], "cells" if row["kind"] == "cells" else "splits", row["cells"], row["sha256"]
        )
        for row in csv.DictReader(text.splitlines())
    )


def published_file(dataset: str, name: str | None = None) -> PublishedFile:
    """The file of cells of a dataset.

    Args:
        dataset: its name or an alias.
        name: which one, where the deposit has several; the first by default.

    Raises:
        InputError: no such dataset or file.
    """
    known = get_dataset(dataset).name
    found = [file for file in published_files() if file.dataset == known and file.kind == "cells"]
    for file in found:
        if name in (None, file.name):
            return file
    raise InputError(f"The deposit has no {name!r}", where=known, fix=nearest(str(name), (f.name for f in found)))


def published_splits(cells: PublishedFile) -> tuple[PublishedFile, ...]:
    """The files of splits of a file of cells."""
    return tuple(file for file in published_files() if file.cells == cells.name)
