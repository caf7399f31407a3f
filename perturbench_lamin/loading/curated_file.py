"""A curated file that the trainings, scores and predictions of one process share: read when first asked for."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from perturbench_lamin.errors import InputError
from perturbench_lamin.loading.curated import CuratedData, embeddings, read_curated, with_embedding
from perturbench_lamin.loading.fingerprint import (
    embedding_fingerprint,
    fingerprint,
    sample_fingerprint,
    sample_rows,
    table_fingerprint,
)
from perturbench_lamin.loading.placement import Placement, place
from perturbench_lamin.loading.some_rows import read_some
from perturbench_lamin.splitting.io import read_split
from perturbench_lamin.splitting.obs import read_obs
from perturbench_lamin.storage.anndata_file import AnnDataFile

if TYPE_CHECKING:
    import torch


@dataclass
class _Known:
    """What was read of one version of the file.

    Attributes:
        stamp: of the version: time of the last change, size, place on disk.
        places: decisions on where to hold the expression.
        data: everything, without an embedding.
        seen: its fingerprint.
        read_as: how it was read.
        embedded: the data with the embedding that was asked for last.
    """

    stamp: tuple[int, ...]
    places: dict[tuple[str, str, int], Placement] = field(default_factory=dict)
    data: CuratedData | None = None
    seen: Mapping[str, str] = field(default_factory=dict)
    read_as: str = ""
    embedded: CuratedData | None = None


class CuratedFile:
    """A curated h5ad file whose expression, once read as a whole, stays as long as this object.

    A file that was replaced or written to in the meantime is read again.

    Args:
        path: the file.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._last = _Known(())

    @classmethod
    def of(cls, curated: str | Path | CuratedFile) -> CuratedFile:
        """The file of a path, or the file itself.

        Raises:
            InputError: it is neither, such as cells in memory.
        """
        if not isinstance(curated, CuratedFile | str | os.PathLike):
            raise InputError(
                f"Not a path but {type(curated).__name__}",
                where="curated file",
                fix="Give the path of a curated h5ad file, such as preprocess writes.",
            )
        return curated if isinstance(curated, CuratedFile) else cls(curated)

    def split(self, given: pd.Series | str | Path) -> pd.Series:
        """A split of the file's cells: as it is, or read from its file.

        Raises:
            InputError: it is neither, or the file is no split of these cells.
        """
        if isinstance(given, pd.Series):
            return given
        if isinstance(given, str | Path):
            return read_split(given, read_obs(self.path).index)
        raise InputError(
            f"Not a split but {type(given).__name__}",
            where="split",
            fix="Give a pandas Series, cell → train, val or test, or the path of a file such as split writes.",
        )

    def place(self, memory: str, device: torch.device, copies: int = 1) -> Placement:
        """Where to hold the expression, see :func:`~perturbench_lamin.loading.placement.place`.

        The first decision holds: what is held already takes memory, and is no reason against itself.
        """
        places, asked = self._known().places, (memory, str(device), copies)
        if asked not in places:
            places[asked] = place(self.path, memory, device, copies)
        return places[asked]

    def whole(
        self, read_as: str, *, scratch: str | Path | None = None, embedding: str = ""
    ) -> tuple[CuratedData, Mapping[str, str]]:
        """All cells, and their fingerprint.

        Args:
            read_as: ``memory``, ``compact`` or ``disk``, of :func:`~perturbench_lamin.loading.curated.read_curated`.
            scratch: the folder for unpacked expression, where this call is the one that reads.
            embedding: a key of obsm; with another one than before, only that is read.

        Raises:
            InputError: as :func:`~perturbench_lamin.loading.curated.read_curated`.
        """
        known = self._known()
        if known.data is None or known.read_as != read_as:
            known.data = known.embedded = None  # never two at a time
            known.data = read_curated(self.path, memory=read_as, scratch=scratch)
            known.seen, known.read_as = fingerprint(known.data), read_as
        data = self._embedded(known, known.data, embedding)
        return data, {**known.seen, **embedding_fingerprint(data)}

    def cells(self, embedding: str = "") -> CuratedData:
        """The tables of all cells; their expression where it is held, else empty rows.

        Raises:
            InputError: as :func:`~perturbench_lamin.loading.curated.read_curated`.
        """
        known = self._known()
        if known.data is None:
            return read_curated(self.path, memory="none", embedding=embedding)
        return self._embedded(known, known.data, embedding)

    def rows(self, cells: CuratedData, rows: np.ndarray) -> tuple[CuratedData, Mapping[str, str]]:
        """The expression of some cells at least, and what the fingerprint says without reading the others.

        Args:
            cells: what :meth:`cells` gave.
            rows: which cells, ascending, each once.

        Returns:
            The data, other rows empty unless the whole is held; and a part of the fingerprint: tables and sample.

        Raises:
            InputError: expression of these cells is NaN or infinite, or counts.
        """
        known = self._known()
        if known.data is not None and cells.X is known.data.X:
            return cells, {**known.seen, **embedding_fingerprint(cells)}
        X, sample = read_some(self.path, rows, sample_rows(len(cells.obs)))
        return replace(cells, X=X), table_fingerprint(cells) | {"sample": sample_fingerprint(sample)}

    def _embedded(self, known: _Known, data: CuratedData, name: str) -> CuratedData:
        if not name:
            return data
        if known.embedded is None or known.embedded.embedding_name != name:
            with AnnDataFile(self.path) as file:
                known.embedded = with_embedding(data, name, embeddings(file, name))
        return known.embedded

    def _known(self) -> _Known:
        """What was read; nothing if the file is another one now."""
        state = self.path.stat() if self.path.exists() else None
        stamp = (state.st_mtime_ns, state.st_size, state.st_ino, state.st_dev) if state else ()
        if stamp != self._last.stamp:
            self._last = _Known(stamp)
        return self._last
