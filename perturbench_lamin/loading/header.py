"""What a curated file says of itself and of its cells, without their expression."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from perturbench_lamin.contracts import UNS_KEY, CuratedInfo
from perturbench_lamin.storage.anndata_file import AnnDataFile


@dataclass(frozen=True)
class CuratedHeader:
    """The small parts of a curated file.

    Attributes:
        obs: the cells' table.
        info: the file's words about itself.
    """

    obs: pd.DataFrame
    info: CuratedInfo


def read_header(path: str | Path) -> CuratedHeader:
    """Read the cells' table and ``uns["perturbench"]`` of a curated h5ad file.

    Raises:
        InputError: there is no such file, or it is not a curated one.
        IntegrityError: it is damaged.
    """
    with AnnDataFile(path) as file:
        return CuratedHeader(file.obs, read_info(file))


def read_info(file: AnnDataFile) -> CuratedInfo:
    """What an open curated file says of itself.

    Raises:
        InputError: it is not a curated file.
    """
    place = f"uns/{UNS_KEY}"
    return CuratedInfo.from_uns({UNS_KEY: file.element(place)} if place in file else {}, where=file.path)
