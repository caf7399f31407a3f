"""What a curated file says of itself and of its cells, without their expression."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import h5py
import pandas as pd
from anndata.io import read_elem

from perturbench_lamin.contracts import UNS_KEY, CuratedInfo
from perturbench_lamin.splitting.obs import read_obs


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
    """
    obs = read_obs(path)
    with h5py.File(path, "r") as file:
        uns = {UNS_KEY: read_elem(file[f"uns/{UNS_KEY}"])} if f"uns/{UNS_KEY}" in file else {}
    return CuratedHeader(obs, CuratedInfo.from_uns(uns, where=path))
