"""Views of count sources: some cells, some genes, other names, several sources one after the other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal

import numpy as np
import pandas as pd
from scipy import sparse

from perturbench_lamin.curation.kernels import map_columns
from perturbench_lamin.curation.source import CountSource
from perturbench_lamin.errors import InputError, some
from perturbench_lamin.storage.matrix import canonical

READ_GAP = 64
"""Unwanted rows up to this many are read along with their neighbours: one larger read is faster than two."""


class CellView(CountSource):
    """Some rows of a source, in the order given."""

    def __init__(self, base: CountSource, rows: np.ndarray) -> None:
        self.obs_names, self.var_names = base.obs_names[rows], base.var_names
        self._base, self._rows = base, rows
        self.entries = int(base.entries * len(rows) / max(base.shape[0], 1))

    def read_rows(self, start: int, stop: int) -> sparse.csr_matrix:
        """The chosen rows, read in runs of neighbours."""
        wanted = self._rows[start:stop]
        if len(wanted) == 0:
            return self._base.read_rows(0, 0)
        order = np.argsort(wanted, kind="stable")
        parts = [self._read_run(run) for run in _runs(wanted[order])]
        stacked = sparse.vstack(parts, format="csr") if len(parts) > 1 else parts[0]
        if (order == np.arange(len(order))).all():
            return canonical(stacked)
        back = np.empty_like(order)
        back[order] = np.arange(len(order))
        return canonical(stacked[back])

    def _read_run(self, run: np.ndarray) -> sparse.csr_matrix:
        block = self._base.read_rows(int(run[0]), int(run[-1]) + 1)
        return block if (np.diff(run) == 1).all() else block[run - run[0]]


class GeneView(CountSource):
    """Some columns of a source, in the order given; a column of -1 is a gene the source lacks (zeros)."""

    def __init__(self, base: CountSource, columns: np.ndarray, var_names: pd.Index) -> None:
        _require_unique(columns[columns >= 0], "select_genes")
        self.obs_names, self.var_names = base.obs_names, var_names
        self._base, self.entries = base, base.entries
        self._position = np.full(base.shape[1], -1, dtype=np.int32)
        present = np.flatnonzero(columns >= 0)
        self._position[columns[present]] = present

    def read_rows(self, start: int, stop: int) -> sparse.csr_matrix:
        """The rows, with their genes renumbered."""
        rows = self._base.read_rows(start, stop)
        indptr, indices, data = map_columns(rows.indptr.astype(np.int64), rows.indices, rows.data, self._position)
        return canonical(sparse.csr_matrix((data, indices, indptr), shape=(rows.shape[0], len(self.var_names))))


class RenamedView(CountSource):
    """A source under other names."""

    def __init__(self, base: CountSource, obs_names: pd.Index, var_names: pd.Index) -> None:
        self.obs_names, self.var_names = obs_names, var_names
        self._base, self.entries = base, base.entries

    def read_rows(self, start: int, stop: int) -> sparse.csr_matrix:
        """The rows of the source."""
        return self._base.read_rows(start, stop)


class StackedSource(CountSource):
    """Sources with the same genes, one after the other."""

    def __init__(self, sources: Sequence[CountSource]) -> None:
        self._sources = list(sources)
        self._starts = np.cumsum([0, *(source.shape[0] for source in sources)])
        self.var_names = sources[0].var_names
        self.obs_names = pd.Index(np.concatenate([source.obs_names.to_numpy() for source in sources]))
        self.entries = sum(source.entries for source in sources)

    def read_rows(self, start: int, stop: int) -> sparse.csr_matrix:
        """The rows, from one source or from several."""
        parts = [
            source.read_rows(max(start - first, 0), min(stop - first, source.shape[0]))
            for source, first in zip(self._sources, self._starts[:-1].tolist(), strict=True)
            if first < stop and first + source.shape[0] > start
        ]
        if not parts:
            return self._sources[0].read_rows(0, 0)
        return parts[0] if len(parts) == 1 else canonical(sparse.vstack(parts, format="csr"))


def concatenate(sources: Sequence[CountSource], *, join: Literal["inner", "outer"] | None = None) -> CountSource:
    """Several sources as one, cell after cell.

    Args:
        sources: at least one.
        join: how to reconcile different genes. None: they must be the same in the same order; ``"inner"``:
            those in every source, in the order of the first; ``"outer"``: those in any, as first seen, zero
            where a source lacks one (say so in the notebook: a gene that was not measured is not zero).

    Raises:
        InputError: the genes differ and ``join`` is None, or a gene name to join on occurs twice.
    """
    if not sources:
        raise InputError("No source to concatenate", where="concatenate")
    first = sources[0].var_names
    if all(source.var_names.equals(first) for source in sources):
        return sources[0] if len(sources) == 1 else StackedSource(sources)
    if join is None:
        number = next(i for i, source in enumerate(sources) if not source.var_names.equals(first))
        raise InputError(
            f"Source {number} has other genes than source 0, or another order",
            where="concatenate",
            fix='Rename or select genes first, or pass join="inner" or join="outer".',
        )
    for source in sources:
        _require_unique(source.var_names, "concatenate")
    genes = _joined([source.var_names for source in sources], join)
    return StackedSource([GeneView(source, source.var_names.get_indexer(genes), genes) for source in sources])


def _joined(names: list[pd.Index], join: Literal["inner", "outer"]) -> pd.Index:
    if join == "inner":
        keep = np.logical_and.reduce([names[0].isin(other) for other in names])
        return names[0][keep]
    return pd.Index(dict.fromkeys(name for index in names for name in index))


def _runs(rows: np.ndarray) -> Iterator[np.ndarray]:
    yield from np.split(rows, np.flatnonzero(np.diff(rows) > READ_GAP) + 1)


def _require_unique(values: np.ndarray | pd.Index, where: str) -> None:
    index = pd.Index(values)
    if not index.is_unique:
        twice = index[index.duplicated()].unique()
        raise InputError(f"{len(twice):,} genes occur more than once", where=where, fix=f"First: {some(twice, 3)}.")
