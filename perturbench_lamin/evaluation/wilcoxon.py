"""Wilcoxon rank-sum (Mann-Whitney U) tests of groups of cells against controls, gene by gene, on sparse cells.

Two-sided, asymptotic, with tie and continuity correction, as ``scipy.stats.mannwhitneyu(method="asymptotic")``.
The controls of each gene are sorted once; a group's values are then placed among them, so that the zeros, most of
the values, cost nothing.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numba import njit
from scipy import sparse

from perturbench_lamin.evaluation.threads import over_ranges

BATCH_VALUES = 1 << 22
"""Values of the groups that are copied at a time: bounds the memory."""


@dataclass(frozen=True)
class SortedControls:
    """The control cells' values, gene by gene.

    Attributes:
        n: number of control cells.
        starts: where each gene's values start, (genes + 1,).
        values: stored values other than zero, ascending within a gene.
        ties: Σ (c³ − c) over the runs of equal values other than zero of each gene, (genes,).
    """

    n: int
    starts: np.ndarray
    values: np.ndarray
    ties: np.ndarray


@dataclass(frozen=True)
class RankSums:
    """Tests of groups of cells against controls.

    Attributes:
        p: two-sided p-values with tie and continuity correction, (groups × genes); NaN for a group without cells.
        z: (U − mean) / standard deviation without either correction, as scanpy's ``rank_genes_groups`` scores.
    """

    p: np.ndarray
    z: np.ndarray

    @classmethod
    def empty(cls, n_groups: int, n_genes: int) -> RankSums:
        """No test yet: NaN."""
        return cls(np.full((n_groups, n_genes), np.nan), np.full((n_groups, n_genes), np.nan))

    def take(self, rows: Sequence[int]) -> RankSums:
        """The tests of some groups."""
        return RankSums(self.p[list(rows)], self.z[list(rows)])


def sort_controls(cells: Any, order: np.ndarray) -> SortedControls:
    """Sort control cells (rows × genes, CSR or dense) gene by gene; ``order``: the column of each gene."""
    by_gene = _without_zeros(cells).tocsc()[:, order]
    starts, values = by_gene.indptr.astype(np.int64), by_gene.data.astype(np.float64)
    ties = np.zeros(by_gene.shape[1])
    _sort(starts, values, ties)
    return SortedControls(by_gene.shape[0], starts, values, ties)


def rank_sums(
    X: Any,
    groups: Sequence[np.ndarray],
    controls: SortedControls,
    order: np.ndarray,
    copies: np.ndarray | None = None,
) -> RankSums:
    """Test every gene in every group of cells against the controls.

    Args:
        X: cells × genes, CSR or dense, in memory.
        groups: each group's rows of ``X``.
        controls: of the same genes.
        order: the column of ``X`` of each of the controls' genes.
        copies: how many times each row of a group counts; once where None.
    """
    out = RankSums.empty(len(groups), len(order))
    genes = np.empty(X.shape[1], dtype=np.int32)
    genes[order] = np.arange(len(order), dtype=np.int32)
    repeat = np.ones(len(groups), dtype=np.int64) if copies is None else np.asarray(copies, dtype=np.int64)
    for part in _batches(X, groups):
        members = groups[part]
        block = _without_zeros(X[np.concatenate(members)])
        starts = np.cumsum([0, *map(len, members)])
        _test_block(block, genes[block.indices], starts, repeat[part], controls, (out.p[part], out.z[part]))
    return out


def _test_block(
    block: Any,
    genes: np.ndarray,
    starts: np.ndarray,
    repeat: np.ndarray,
    controls: SortedControls,
    out: tuple[np.ndarray, np.ndarray],
) -> None:
    indptr, data = block.indptr.astype(np.int64), block.data.astype(np.float64)
    over_ranges(
        lambda a, b: _test_groups(
            indptr, genes, data, starts, repeat, a, b,
            controls.n, controls.starts, controls.values, controls.ties, *out,
        ),
        len(out[0]),
        np.diff(starts),
    )  # fmt: skip


def _batches(X: Any, groups: Sequence[np.ndarray]) -> list[slice]:
    per_row = (X.nnz if sparse.issparse(X) else X.size) / max(X.shape[0], 1)
    parts, begin, size = [], 0, 0.0
    for position, rows in enumerate(groups):
        if position > begin and size + len(rows) * per_row > BATCH_VALUES:
            parts.append(slice(begin, position))
            begin, size = position, 0.0
        size += len(rows) * per_row
    return [*parts, slice(begin, len(groups))] if len(groups) else []


def _without_zeros(cells: Any) -> Any:
    rows = sparse.csr_matrix(cells)
    if not rows.has_canonical_format or (rows.data == 0).any():
        rows = rows.copy()
        rows.sum_duplicates()
        rows.eliminate_zeros()
    return rows


@njit(nogil=True, cache=True)
def _sort(starts, values, ties):  # type: ignore[no-untyped-def]
    for gene in range(len(starts) - 1):
        part = values[starts[gene] : starts[gene + 1]]
        part.sort()
        run = 1.0
        for k in range(1, len(part) + 1):
            if k < len(part) and part[k] == part[k - 1]:
                run += 1.0
            else:
                ties[gene] += run**3 - run
                run = 1.0


@njit(nogil=True, cache=True)
def _by_gene(indptr, indices, data, first, last, begins, values):  # type: ignore[no-untyped-def]
    """Sort a group's values into runs by gene: counting sort, then each run."""
    begins[:] = 0
    for k in range(indptr[first], indptr[last]):
        begins[indices[k] + 1] += 1
    for gene in range(len(begins) - 1):
        begins[gene + 1] += begins[gene]
    filled = begins[:-1].copy()
    for k in range(indptr[first], indptr[last]):
        values[filled[indices[k]]] = data[k]
        filled[indices[k]] += 1
    for gene in range(len(begins) - 1):
        values[begins[gene] : begins[gene + 1]].sort()


@njit(nogil=True, cache=True)
def _test_groups(  # type: ignore[no-untyped-def]
    indptr, indices, data, starts, repeat, first, last, n_control, c_starts, c_values, c_ties, p, z
):
    n_genes = len(c_starts) - 1
    begins = np.zeros(n_genes + 1, dtype=np.int64)
    for group in range(first, last):
        a, b = starts[group], starts[group + 1]
        if b > a:
            values = np.empty(indptr[b] - indptr[a])
            _by_gene(indptr, indices, data, a, b, begins, values)
            for gene in range(n_genes):
                own = values[begins[gene] : begins[gene + 1]]
                control = c_values[c_starts[gene] : c_starts[gene + 1]]
                p[group, gene], z[group, gene] = _test(own, b - a, repeat[group], control, n_control, c_ties[gene])


@njit(nogil=True, cache=True)
def _test(own, n_own, repeat, control, n_control, ties):  # type: ignore[no-untyped-def]
    """p and z of one gene from the sorted values other than zero; ``repeat``: times each own value counts."""
    zeros, own_zeros = n_control - len(control), (n_own - len(own)) * repeat
    negative = np.searchsorted(control, 0.0)
    u = own_zeros * (negative + 0.5 * zeros)
    t = float(zeros + own_zeros)
    ties += t**3 - t
    k = 0
    while k < len(own):
        stop = k + 1
        while stop < len(own) and own[stop] == own[k]:
            stop += 1
        below = np.searchsorted(control, own[k])
        equal = np.searchsorted(control, own[k], side="right") - below
        count = float((stop - k) * repeat)
        u += count * (below + 0.5 * equal + (zeros if own[k] > 0 else 0))
        both = count + equal
        ties += (both**3 - both) - (float(equal) ** 3 - equal)
        k = stop
    n1, n2 = float(n_own * repeat), float(n_control)
    n = n1 + n2
    square = n1 * n2 / 12.0 * ((n + 1.0) - ties / (n * (n - 1.0))) if n > 1 else 0.0
    plain = (u - n1 * n2 / 2.0) / math.sqrt(n1 * n2 * (n + 1.0) / 12.0)
    if square <= 0.0:
        return 1.0, plain  # all values are equal
    z = (max(u, n1 * n2 - u) - n1 * n2 / 2.0 - 0.5) / math.sqrt(square)
    return min(1.0, math.erfc(z / math.sqrt(2.0))), plain
