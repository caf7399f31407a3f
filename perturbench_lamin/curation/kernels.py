"""Compiled inner loops over the rows of a CSR chunk.

Each kernel works on a lane of rows, releases the GIL, and writes to memory that no other lane writes to
(or to integer tables of its own), so that the result has the same bits whatever the number of threads.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

MAX_COUNT = 1 << 24
"""The largest count: float32 holds every integer up to here, and sums of squares stay far from 2^63."""

TABLE = 64
"""Counts below this have their logarithm looked up in a table made for each cell."""

LARGEST_HELD = (1 << 16) - 1
"""The largest count that two bytes hold."""

COUNTED, TOO_LARGE = -1, -2
"""What :func:`count_rows` returns: all are counts; all are counts, and some are too large to hold."""

ONE, SIX, TOP_SIX, LOW_SIX = np.uint64(1), np.uint64(6), np.uint64(58), np.uint64(63)

DE_BRUIJN = np.uint64(0x03F79D71B4CB0A89)
"""Times a single bit, its top six bits number the bit (Leiserson, Prokop and Randall 1998)."""

BIT_NUMBER = np.zeros(64, dtype=np.int64)
for _bit in range(64):
    BIT_NUMBER[(int(DE_BRUIJN) << _bit & 0xFFFFFFFFFFFFFFFF) >> 58] = _bit


@njit(nogil=True, cache=True)
def map_columns(indptr, indices, data, position):  # type: ignore[no-untyped-def]
    """Renumber the columns of a CSR matrix; those at position -1 are left out. Returns indptr, indices, data."""
    new_indptr = np.zeros_like(indptr)
    for row in range(len(indptr) - 1):
        n = 0
        for entry in range(indptr[row], indptr[row + 1]):
            n += position[indices[entry]] >= 0
        new_indptr[row + 1] = new_indptr[row] + n
    new_indices = np.empty(new_indptr[-1], dtype=np.int32)
    new_data = np.empty(new_indptr[-1], dtype=data.dtype)
    at = 0
    for entry in range(len(indices)):
        column = position[indices[entry]]
        if column >= 0:
            new_indices[at] = column
            new_data[at] = data[entry]
            at += 1
    return new_indptr, new_indices, new_data


@njit(nogil=True, cache=True)
def shuffle_bytes(values, shuffled):  # type: ignore[no-untyped-def]
    """HDF5's shuffle filter: all first bytes, then all second ones, and so on.

    Args:
        values: uint8 (values, bytes a value).
        shuffled: uint8 (bytes a value, values), written.
    """
    for place in range(values.shape[1]):
        for number in range(values.shape[0]):
            shuffled[place, number] = values[number, place]


@njit(nogil=True, cache=True)
def count_rows(  # type: ignore[no-untyped-def]
    indptr,
    indices,
    data,
    rows,
    states,
    first_cell,
    sums,
    gene_cells,
    rare,
    totals,
    detected,
    held_indices,
    held_counts,
):
    """Check and add up the counts of some rows, and copy them in a smaller number type.

    Args:
        indptr: row pointers of the chunk.
        indices: gene numbers.
        data: counts, of any number type.
        rows: the lane's rows, in any order.
        states: the covariate state of each row of the chunk.
        first_cell: the cell number of the chunk's first row.
        sums: (states, genes, 3) sum, sum of squares and largest, added to.
        gene_cells: (genes,) cells with the gene, added to.
        rare: (genes, r, 2) the first r (cell, count) pairs of each gene.
        totals: (chunk rows,) counts of each cell, written.
        detected: (chunk rows,) genes of each cell, written.
        held_indices: uint16 gene numbers, written; empty where nothing is to be copied.
        held_counts: uint16 counts, written.

    Returns:
        The position in ``data`` of a value that is no count, or COUNTED, or TOO_LARGE.
    """
    capacity = rare.shape[1]
    hold = len(held_indices) > 0
    largest = np.int64(0)
    for row in rows:
        state = states[row]
        total = np.int64(0)
        genes = 0
        for entry in range(indptr[row], indptr[row + 1]):
            value = data[entry]
            if not (value >= 0 and value <= MAX_COUNT):
                return entry
            count = np.int64(value)
            if count != value:
                return entry
            gene = indices[entry]
            if hold:
                held_indices[entry] = gene
                held_counts[entry] = count
            if count == 0:
                continue
            largest = max(largest, count)
            sums[state, gene, 0] += count
            sums[state, gene, 1] += count * count
            sums[state, gene, 2] = max(sums[state, gene, 2], count)
            seen = gene_cells[gene]
            if seen < capacity:
                rare[gene, seen, 0] = first_cell + row
                rare[gene, seen, 1] = count
            gene_cells[gene] = seen + 1
            total += count
            genes += 1
        totals[row] = total
        detected[row] = genes
    return COUNTED if largest <= LARGEST_HELD else TOO_LARGE


@njit(nogil=True, cache=True)
def kept_totals(indptr, indices, data, rows, keep, totals):  # type: ignore[no-untyped-def]
    """The counts of each of some rows over the genes to keep, written to ``totals``."""
    for row in rows:
        total = np.int64(0)
        for entry in range(indptr[row], indptr[row + 1]):
            if keep[indices[entry]]:
                total += np.int64(data[entry])
        totals[row] = total


@njit(nogil=True, cache=True)
def log1p_normalised(count, scale):  # type: ignore[no-untyped-def]
    """float32 log(1 + count / scale): the quotient in float32, the logarithm in float64 and then rounded.

    This is what scanpy's ``normalize_total`` and ``log1p`` compute in float32, within one unit in the last
    place; rounding from float64 makes it independent of the processor's vector library.
    """
    return np.float32(math.log1p(np.float64(np.float32(count) / scale)))


@njit(nogil=True, cache=True)
def log1p_sums(indptr, indices, counts, rows, slots, scales, position, sums):  # type: ignore[no-untyped-def]
    """Add up log1p values and their squares by group of cells.

    Args:
        indptr: row pointers of the chunk.
        indices: gene numbers.
        counts: counts.
        rows: the lane's rows, all of a slot in one lane, so that each sum is in row order.
        slots: the slot of each row of the chunk.
        scales: float32 (chunk rows,) what a cell's counts are divided by.
        position: (all genes,) place among the genes kept, or -1.
        sums: (slots, genes kept, 2) float64 sum and sum of squares, added to.
    """
    table = np.empty(TABLE, dtype=np.float32)
    for row in rows:
        own = sums[slots[row]]
        scale = scales[row]
        table[:] = -1
        for entry in range(indptr[row], indptr[row + 1]):
            gene = position[np.uint32(indices[entry])]
            if gene < 0:
                continue
            # Looked up here, and with unsigned indices: a helper function made this loop three times slower.
            count = np.uint32(counts[entry])
            if count < TABLE:
                value = table[count]
                if value < 0:
                    value = log1p_normalised(count, scale)
                    table[count] = value
            else:
                value = log1p_normalised(count, scale)
            wide = np.float64(value)
            own[np.uint32(gene), 0] += wide
            own[np.uint32(gene), 1] += wide * wide


@njit(nogil=True, cache=True)
def clipped_sums(indptr, indices, counts, rows, states, position, limits, first_gene, stop_gene, sums):  # type: ignore[no-untyped-def]
    """Add up counts and their squares by state and gene, no count taken as more than its limit.

    A lane is a range of genes: each sum is in row order, as scanpy adds up, to the last bit.

    Args:
        indptr: row pointers of the chunk.
        indices: gene numbers, sorted in each row.
        counts: counts.
        rows: row numbers, ascending within each state, all of a state >= 0.
        states: the state of each row of the chunk.
        position: (all genes,) place among the genes kept, or -1.
        limits: float64 (states, genes kept).
        first_gene: where the lane's range of gene numbers begins.
        stop_gene: and where it ends, exclusive.
        sums: float64 (states, genes kept, 2), added to.
    """
    for row in rows:
        state = states[row]
        start, stop = indptr[row], indptr[row + 1]
        entry = start + np.searchsorted(indices[start:stop], first_gene)
        while entry < stop and indices[entry] < stop_gene:
            gene = position[indices[entry]]
            if gene >= 0:
                value = min(np.float64(counts[entry]), limits[state, gene])
                sums[state, gene, 0] += value
                sums[state, gene, 1] += value * value
            entry += 1


@njit(nogil=True, cache=True)
def write_rows(indptr, indices, counts, rows, position, n_genes, scales, lengths, new_indices, new_counts, values):  # type: ignore[no-untyped-def]
    """The kept genes of some rows, sorted by their new numbers, with counts and log1p values; zeros are left out.

    Args:
        indptr: row pointers of the chunk.
        indices: gene numbers.
        counts: counts.
        rows: the lane's rows.
        position: (all genes,) new gene number, or -1.
        n_genes: how many genes are kept.
        scales: float32 (chunk rows,) what a cell's counts are divided by.
        lengths: (chunk rows,) how many entries of each row are kept, written.
        new_indices: int32, written from its beginning.
        new_counts: int32, likewise.
        values: float32 log1p values, likewise.

    Returns:
        How many entries were written.
    """
    genes, found = np.empty(n_genes + 1, dtype=np.int32), np.empty(n_genes + 1, dtype=np.int32)
    scratch = np.zeros(n_genes, dtype=np.int32)
    present = np.zeros(n_genes // 64 + 1, dtype=np.uint64)  # a bit a gene: sorting by reading the bits in order
    table = np.empty(TABLE, dtype=np.float32)
    at = 0
    for row in rows:
        n = np.uint64(0)
        for entry in range(indptr[row], indptr[row + 1]):  # without a branch that the processor would guess wrong
            gene, count = position[np.uint32(indices[entry])], counts[entry]
            genes[n], found[n] = gene, count
            n += np.uint64((gene >= 0) & (count != 0))
        lengths[row] = n
        for k in range(n):
            bit = np.uint64(genes[k])
            scratch[bit] = found[k]
            present[bit >> SIX] |= ONE << (bit & LOW_SIX)
        table[:] = -1
        scale = scales[row]
        for word in range(len(present)):
            bits = present[word]
            present[word] = 0
            while bits != 0:
                lowest = bits & (~bits + ONE)
                bits ^= lowest
                gene = word * 64 + BIT_NUMBER[(lowest * DE_BRUIJN) >> TOP_SIX]
                count = np.uint32(scratch[gene])
                if count < TABLE:
                    value = table[count]
                    if value < 0:
                        value = log1p_normalised(count, scale)
                        table[count] = value
                else:
                    value = log1p_normalised(count, scale)
                new_indices[at] = gene
                new_counts[at] = count
                values[at] = value
                at += 1
    return at


@njit(nogil=True, cache=True)
def add_columns(indices, values, sums):  # type: ignore[no-untyped-def]
    """Add each value to its column's float64 sum, in order: the same bits whatever the chunks."""
    for entry in range(len(indices)):
        sums[indices[entry]] += values[entry]
