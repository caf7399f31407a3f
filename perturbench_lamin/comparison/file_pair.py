"""Two open files and which of their cells and genes belong together."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from perturbench_lamin.comparison.genes import match_genes
from perturbench_lamin.comparison.h5ad_file import NUMBERED, H5adFile, axes
from perturbench_lamin.comparison.matching import Match, match_cells, match_index, shared_columns
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
    def raw_genes(self) -> Match:
        """Which genes of raw belong together; both files have raw."""
        return match_genes(self.a.raw_var, self.b.raw_var)

    @cached_property
    def counts_places(self) -> tuple[str | None, str | None]:
        """Where the counts of each are; None where there are none."""
        return self.a.counts_place(), self.b.counts_place()

    @cached_property
    def cells(self) -> Match:
        """Which cells belong together."""
        a, b = self.a.obs, self.b.obs
        return match_cells(a.names, b.names, self.config, self._contents, lambda: shared_columns(a, b))

    def both_have(self, place: str) -> bool:
        """Whether both files have something at a place."""
        return place in self.a.file and place in self.b.file

    def _contents(self) -> tuple[CountSource, CountSource] | None:
        """What cells are recognised by: the counts of both, or else X; None without a common gene or matrix."""
        places = self.counts_places if all(self.counts_places) else ("X", "X")
        if not len(self.genes.a) or not all(
            str(place) in file.file for place, file in zip(places, (self.a, self.b), strict=True)
        ):
            return None
        columns = [self._common(file, str(place)) for file, place in zip((self.a, self.b), places, strict=True)]
        known = (columns[0] >= 0) & (columns[1] >= 0)
        left, right = (
            file.matrix(str(place)).select_genes(column[known])
            for file, place, column in zip((self.a, self.b), places, columns, strict=True)
        )
        return left, right

    def _common(self, file: H5adFile, place: str) -> np.ndarray:
        """Where the common genes stand in a matrix of cells and genes; −1 where raw lacks a gene."""
        own = self.genes.a if file is self.a else self.genes.b
        if not place.startswith("raw/"):
            return own
        found = match_index(file.var.names, file.raw_var.names)
        columns = np.full(len(file.var), -1, dtype=np.int64)
        columns[found.a] = found.b
        return columns[own]

    def pairing(self, place_a: str, place_b: str) -> Pairing:
        """Rows and columns of two matrices that belong together."""
        if place_a == place_b:
            rows, columns = (self._axis(axis, place_a) for axis in axes(place_a))
            return Pairing(*rows, *columns)
        columns_a, columns_b = self._common(self.a, place_a), self._common(self.b, place_b)
        known = (columns_a >= 0) & (columns_b >= 0)
        return Pairing(self.cells.a, self.cells.b, columns_a[known], columns_b[known])

    def _axis(self, axis: str, place: str) -> tuple[np.ndarray, np.ndarray]:
        """The positions of a and of b that belong together along an axis of a place that both files have."""
        if axis == NUMBERED:
            number = np.arange(self.a.matrix(place).shape[1])
            return number, number
        match = self.match(axis)
        return match.a, match.b

    def match(self, axis: str) -> Match:
        """What belongs together along ``obs``, ``var`` or ``raw/var``."""
        return self.raw_genes if axis == "raw/var" else {"obs": self.cells, "var": self.genes}[axis]
