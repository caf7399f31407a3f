"""First pass: check that the values are counts, and add them up by cell, by gene and by covariate state."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np

from perturbench_lamin.curation import kernels
from perturbench_lamin.curation.groups import CellGroups
from perturbench_lamin.curation.held import HeldCounts
from perturbench_lamin.curation.lanes import run_lanes, split_rows
from perturbench_lamin.curation.passes import Chunk, count_chunks, raw_chunks
from perturbench_lamin.curation.source import CountSource
from perturbench_lamin.errors import InputError

RARE = 16
"""Up to this ``min_cells``, the entries of every gene that fails it are remembered in the first pass."""

LANE_BYTES = 1 << 28
"""Tables that each lane has of its own may take this much together; else there is one lane."""


@dataclass(frozen=True)
class CountSums:
    """What the first pass gathers.

    Attributes:
        state_sums: int64 (states, genes, 3) sum, sum of squares and largest count over the cells that selection
            looks at.
        gene_counts: int64 (genes,) counts over all cells.
        gene_cells: int64 (genes,) cells with the gene, over all cells.
        cell_counts: int64 (cells,) counts over all genes.
        cell_genes: int32 (cells,) genes of each cell.
        rare: for each lane, (genes, r, 2) the first (cell, count) pairs of each gene, and (genes,) how many.
    """

    state_sums: np.ndarray
    gene_counts: np.ndarray
    gene_cells: np.ndarray
    cell_counts: np.ndarray
    cell_genes: np.ndarray
    rare: list[tuple[np.ndarray, np.ndarray]]


def sum_counts(
    source: CountSource,
    groups: CellGroups,
    held: HeldCounts,
    *,
    min_cells: int,
    threads: int,
    progress: bool = False,
) -> CountSums:
    """Read every count once, and hold what fits.

    Raises:
        InputError: a value is negative, not an integer, not finite or above 2^24; the message names it.
    """
    cells, genes = source.shape
    states = len(groups.states) + 1  # the last one for cells that selection must not look at
    lanes = threads if threads * states * genes * 24 <= LANE_BYTES else 1
    capacity = min_cells - 1 if 1 <= min_cells <= RARE else 0
    sums = np.zeros((lanes, states, genes, 3), dtype=np.int64)
    gene_cells = np.zeros((lanes, genes), dtype=np.int64)
    rare = np.zeros((lanes, genes, capacity, 2), dtype=np.int64)
    totals, detected = np.zeros(cells, dtype=np.int64), np.zeros(cells, dtype=np.int32)
    state_of_cell = np.where(groups.state_of_cell < 0, states - 1, groups.state_of_cell)
    for chunk in raw_chunks(source, "Counting", progress):
        tables = (state_of_cell[chunk.span], sums, gene_cells, rare, totals, detected)
        work = partial(_count, chunk, held.place(chunk), *tables)
        order = np.argsort(state_of_cell[chunk.span], kind="stable")
        found = run_lanes(work, split_rows(order, chunk.lengths[order], lanes))
        for bad in found:
            if bad >= 0:
                raise _not_counts(source, chunk, bad)
        held.keep(chunk, kernels.TOO_LARGE not in found)
    added = np.concatenate([sums[..., :2].sum(axis=0), sums[..., 2:].max(axis=0)], axis=-1)
    pairs = list(zip(rare, gene_cells, strict=True))
    return CountSums(added[:-1], added[:, :, 0].sum(axis=0), gene_cells.sum(axis=0), totals, detected, pairs)


def library_sizes(
    source: CountSource,
    held: HeldCounts,
    sums: CountSums,
    keep: np.ndarray,
    *,
    threads: int,
    progress: bool = False,
) -> np.ndarray:
    """Each cell's counts over the genes to keep, int64.

    Genes in fewer than ``min_cells`` cells have few entries, which the first pass remembered, so that no
    second pass is needed for the usual small ``min_cells``.
    """
    if keep.all():
        return sums.cell_counts
    if all((seen[~keep] <= pairs.shape[1]).all() for pairs, seen in sums.rare):
        return _without_rare(sums, keep)
    totals = np.zeros(source.shape[0], dtype=np.int64)
    for chunk in count_chunks(source, "Library sizes", progress, held):
        rows = np.arange(chunk.rows)
        work = partial(_total, chunk, keep, totals[chunk.span])
        run_lanes(work, split_rows(rows, chunk.lengths, threads))
    return totals


def _without_rare(sums: CountSums, keep: np.ndarray) -> np.ndarray:
    totals = sums.cell_counts.copy()
    for pairs, seen in sums.rare:
        filled = (np.arange(pairs.shape[1]) < seen[:, None]) & ~keep[:, None]
        np.subtract.at(totals, pairs[filled, 0], pairs[filled, 1])
    return totals


def _count(
    chunk: Chunk,
    place: tuple[np.ndarray, np.ndarray],
    states: np.ndarray,
    sums: np.ndarray,
    gene_cells: np.ndarray,
    rare: np.ndarray,
    totals: np.ndarray,
    detected: np.ndarray,
    lane: int,
    rows: np.ndarray,
) -> int:
    tables = (sums[lane], gene_cells[lane], rare[lane], totals[chunk.span], detected[chunk.span])
    arrays = (chunk.indptr, chunk.indices, chunk.data)
    return int(kernels.count_rows(*arrays, rows, states, chunk.first, *tables, *place))


def _total(chunk: Chunk, keep: np.ndarray, totals: np.ndarray, lane: int, rows: np.ndarray) -> None:
    kernels.kept_totals(chunk.indptr, chunk.indices, chunk.data, rows, keep, totals)


def _not_counts(source: CountSource, chunk: Chunk, entry: int) -> InputError:
    row = int(np.searchsorted(chunk.indptr, entry, side="right")) - 1
    value = chunk.data[entry]
    cell, gene = source.obs_names[chunk.first + row], source.var_names[chunk.indices[entry]]
    what, fix = _diagnosis(float(value), chunk.data)
    if source.others:
        fix += f" The file has other matrices, to name one of: --layer {', --layer '.join(source.others)}."
    return InputError(what, where=f"cell {cell}, gene {gene}, value {_shown(float(value))}", fix=fix)


def _shown(value: float) -> str:
    """Six digits, or more where these would say another whole number."""
    texts = (f"{value:.{digits}g}" for digits in (6, 9, 12, 17))
    return next(text for text in texts if float(text) == value or not float(text).is_integer())


def _diagnosis(value: float, data: np.ndarray) -> tuple[str, str]:
    if not np.isfinite(value):
        return "The matrix has a value that is not finite", "Counts are whole numbers from 0; mend the deposit."
    if value > kernels.MAX_COUNT:
        return f"A count is above {kernels.MAX_COUNT:,}", "These are not molecules; float32 cannot hold such counts."
    if np.nanmin(data) < 0:
        return "The matrix has negative values: it is scaled or centred, not raw counts", "Give the raw counts."
    if np.nanmax(data) < 20:
        what = "The matrix has fractions and no large values: it looks log-transformed, not raw counts"
        return what, "Give the raw counts."
    return "The matrix has fractions: it is normalised, not raw counts", "Give the raw counts."
