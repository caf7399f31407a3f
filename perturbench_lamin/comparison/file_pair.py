"""Two open files and which of their cells and genes belong together."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from perturbench_lamin.comparison.genes import match_genes
from perturbench_lamin.comparison.h5ad_file import H5adFile
from perturbench_lamin.comparison.matching import Match, match_cells, match_names
from perturbench_lamin.comparison.matrices import Pairing
from perturbench_lamin.comparison.settings import CompareConfig
from perturbench_lamin.curation.source import CountSource


@dataclass
class FilePair:
    """Two open files.

    Attributes:
        a: the first.
        b: the second.
        config: tolerances and options.
        progress: show a bar for each matrix.
    """

    a: H5adFile
    b: H5adFile
    config: CompareConfig
    progress: bool

    @cached_property
    def genes(self) -> Match:
        """Which genes belong together."""
        return match_genes(self.a.var, self.b.var)

    @cached_property
    def counts_places(self) -> tuple[str | None, str | None]:
        """Where the counts of each are; None where there are none."""
        return self.a.counts_place(), self.b.counts_place()

    @cached_property
    def cells(self) -> Match:
        """Which cells belong together."""
        return match_cells(self.a.obs.names, self.b.obs.names, self.config, self._contents)

    def _contents(self) -> tuple[CountSource, CountSource] | None:
        """What cells are recognised by: the counts of both, or else X."""
        if not len(self.genes.a):
            return None
        places = self.counts_places if all(self.counts_places) else ("X", "X")
        columns = [self._columns(file, str(place)) for file, place in zip((self.a, self.b), places, strict=True)]
        known = (columns[0] >= 0) & (columns[1] >= 0)
        left, right = (
            file.matrix(str(place)).select_genes(column[known])
            for file, place, column in zip((self.a, self.b), places, columns, strict=True)
        )
        return left, right

    def _columns(self, file: H5adFile, place: str) -> np.ndarray:
        """Where the common columns stand in a matrix; −1 where raw lacks a gene."""
        if place.startswith("obsm/"):  # columns are numbered, in both alike
            return np.arange(file.matrix(place).shape[1])
        own = self.genes.a if file is self.a else self.genes.b
        if not place.startswith("raw/"):
            return own
        found = match_names(file.var.names[own], file.matrix(place).var_names, "name")
        columns = np.full(len(own), -1, dtype=np.int64)
        columns[found.a] = found.b
        return columns

    def pairing(self, place_a: str, place_b: str) -> Pairing:
        """Rows and columns of two matrices that belong together."""
        columns_a, columns_b = self._columns(self.a, place_a), self._columns(self.b, place_b)
        known = (columns_a >= 0) & (columns_b >= 0)
        return Pairing(self.cells.a, self.cells.b, columns_a[known], columns_b[known])
