"""Two matrices of cells and genes compared in one pass over their rows, and where they differ in a second."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy import sparse
from tqdm import tqdm

from perturbench_lamin.comparison.kernels import compare_rows, expected, list_unlike
from perturbench_lamin.comparison.relation import Relation, RowCounts, find_relation
from perturbench_lamin.comparison.reordered import ReorderedRows, in_order
from perturbench_lamin.comparison.settings import CompareConfig
from perturbench_lamin.curation.source import CountSource
from perturbench_lamin.errors import InputError

EXACT_INTEGERS = 2**53
HISTOGRAM = np.arange(-12.0, 7.0)
"""Edges of the histogram of log10 |b − a|."""


class TooLargeError(InputError):
    """A whole number that float64 does not hold exactly."""


@dataclass(frozen=True)
class Pairing:
    """Which rows and columns of two matrices belong together.

    Attributes:
        rows_a: row numbers in a, ascending.
        rows_b: row numbers in b, one for each of ``rows_a``.
        columns_a: column numbers in a, ascending.
        columns_b: column numbers in b, one for each of ``columns_a``.
    """

    rows_a: np.ndarray
    rows_b: np.ndarray
    columns_a: np.ndarray
    columns_b: np.ndarray


@dataclass(frozen=True)
class MatrixComparison:
    """How two matrices relate on their common cells and genes.

    Attributes:
        relation: how most cells of b follow from a, and which cells do not.
        values: values that are not 0 in both.
        unlike_values: values that do not follow the relation.
        unlike_by_gene: (genes,) how many of them each gene has.
        first: the first of them: ``cell``, ``gene``, ``a``, ``b``.
        largest: those farthest from what they should be.
        histogram: of log10 |b − expected| of them, over :data:`HISTOGRAM`; values beyond its ends are in the last bins.
        nan_in_both: values that are NaN in both, and agree.
        inexact: whether cells that follow the relation have values that are not equal.
    """

    relation: Relation
    values: int
    unlike_values: int
    unlike_by_gene: np.ndarray
    first: pd.DataFrame
    largest: pd.DataFrame
    histogram: np.ndarray
    nan_in_both: int
    inexact: bool

    @property
    def scale(self) -> float:
        """The one scale, or the median over cells."""
        return float(np.median(self.relation.scale)) if len(self.relation.scale) else 1.0


def compare_matrices(
    a: CountSource, b: CountSource, pairing: Pairing, config: CompareConfig, *, label: str = "", progress: bool = False
) -> MatrixComparison:
    """Compare two matrices on their common cells and genes.

    A few thousand rows of each are in memory at a time. Where b's cells come in another order they are brought into
    a's order by way of a temporary file (see :mod:`perturbench_lamin.comparison.reordered`).

    Args:
        a: the first matrix.
        b: the second.
        pairing: which cells and genes belong together.
        config: tolerances.
        label: of the progress bar.
        progress: whether to show one.

    Raises:
        TooLargeError: a whole number is too large to be compared exactly.
    """
    left, right = _aligned(a, b, pairing)
    try:
        rows = _count(left, right, config, label, progress)
        relation = find_relation(rows, config.rtol)
        return _locate(left, right, rows, relation, config)
    finally:
        for source in (left, right):
            if isinstance(source, ReorderedRows):
                source.close()


def _aligned(a: CountSource, b: CountSource, pairing: Pairing) -> tuple[CountSource, CountSource]:
    left = in_order(_with_genes(a, pairing.columns_a), pairing.rows_a)
    return left, in_order(_with_genes(b, pairing.columns_b), pairing.rows_b)


def _with_genes(source: CountSource, columns: np.ndarray) -> CountSource:
    if len(columns) == source.shape[1] and (columns == np.arange(len(columns))).all():
        return source
    return source.select_genes(columns)


def _count(left: CountSource, right: CountSource, config: CompareConfig, label: str, progress: bool) -> RowCounts:
    cells = left.shape[0]
    counts, scales = np.zeros((cells, 7), dtype=np.int32), np.full((cells, 2), np.nan)
    bar = tqdm(total=cells, desc=label, unit=" cells", unit_scale=True, disable=not progress)
    with bar:
        for start, block in _blocks(left, right, np.arange(cells)):
            stop = start + len(block[0]) - 1
            compare_rows(*block, config.rtol, config.atol, counts[start:stop], scales[start:stop])
            bar.update(stop - start)
    return RowCounts(counts, scales)


def _blocks(left: CountSource, right: CountSource, rows: np.ndarray) -> Iterator[tuple[int, tuple[np.ndarray, ...]]]:
    """The given rows of both, block by block: position of the first, then pointers, columns, values of each."""
    step = min(left.default_rows(), right.default_rows())
    if len(rows) < left.shape[0]:
        left, right = left.select_cells(rows), right.select_cells(rows)
    for start in range(0, len(rows), step):
        stop = min(start + step, len(rows))
        yield start, (*_parts(left.read_rows(start, stop)), *_parts(right.read_rows(start, stop)))


def _parts(block: sparse.csr_matrix) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    data = block.data
    if data.dtype.kind in "iu" and len(data) and max(int(data.max()), -int(data.min())) > EXACT_INTEGERS:
        raise TooLargeError("A whole number is beyond 2^53", where="matrix", fix="Store the matrix as float64.")
    return block.indptr.astype(np.int64), block.indices, data.astype(np.float64)


def _locate(
    left: CountSource, right: CountSource, rows: RowCounts, relation: Relation, config: CompareConfig
) -> MatrixComparison:
    found = _Unlike(left.shape[1], config.examples)
    unlike = np.flatnonzero(relation.unlike)
    for start, block in _blocks(left, right, unlike) if len(unlike) else ():
        cells = unlike[start : start + len(block[0]) - 1]
        found.add(cells, relation.scale[cells], relation.formula, block, config)
    names = left.obs_names, left.var_names
    return MatrixComparison(
        relation=relation,
        values=int(rows.counts[:, 0].sum(dtype=np.int64)),
        unlike_values=found.total,
        unlike_by_gene=found.by_gene,
        first=found.table(found.first, *names),
        largest=found.table(found.largest, *names),
        histogram=found.histogram,
        nan_in_both=int(rows.counts[:, 6].sum(dtype=np.int64)),
        inexact=bool((rows.counts[~relation.unlike, 1] > 0).any()),
    )


class _Unlike:
    """Collects the values that do not follow a relation."""

    def __init__(self, genes: int, examples: int) -> None:
        self.total, self.by_gene, self.examples = 0, np.zeros(genes, dtype=np.int64), examples
        self.histogram = np.zeros(len(HISTOGRAM) - 1, dtype=np.int64)
        self.first = self.largest = np.zeros((0, 5))  # cell, gene, a, b, distance

    def add(self, cells: np.ndarray, scale: np.ndarray, formula: int, block: Any, config: CompareConfig) -> None:
        room = len(block[2]) + len(block[5])
        at = np.empty(room, np.int64), np.empty(room, np.int64), np.empty(room), np.empty(room)
        n = list_unlike(*block, config.rtol, config.atol, scale, formula, *at)
        row, gene, x, y = (array[:n] for array in at)
        with np.errstate(invalid="ignore"):
            distance = np.nan_to_num(np.abs(y - expected(x, scale[row], formula)), nan=np.inf, posinf=np.inf)
        listed = np.column_stack([cells[row], gene, x, y, distance])
        self.total += n
        self.by_gene += np.bincount(gene, minlength=len(self.by_gene))
        self.first = np.vstack([self.first, listed[: self.examples]])[: self.examples]
        largest = listed[np.argsort(-distance, kind="stable")[: self.examples]]
        both = np.vstack([self.largest, largest])
        self.largest = both[np.argsort(-both[:, 4], kind="stable")[: self.examples]]
        with np.errstate(divide="ignore"):
            logs = np.clip(np.log10(distance), HISTOGRAM[0], HISTOGRAM[-1])
        self.histogram += np.histogram(logs, HISTOGRAM)[0]

    def table(self, listed: np.ndarray, cells: pd.Index, genes: pd.Index) -> pd.DataFrame:
        return pd.DataFrame(
            {
                "cell": cells[listed[:, 0].astype(np.int64)],
                "gene": genes[listed[:, 1].astype(np.int64)],
                "a": listed[:, 2],
                "b": listed[:, 3],
            }
        )
