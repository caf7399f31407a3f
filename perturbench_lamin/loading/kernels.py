"""Compiled loops over rows of a CSR matrix; they release the interpreter's lock, so plain threads share them out."""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
from llvmlite import ir  # type: ignore[import-untyped]
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

LINE = 16
"""Four-byte values in a cache line."""

AHEAD = 3
"""How many rows ahead the memory is asked for: rows come in random order, which the processor cannot foresee."""

# An address as a plain number: numba has no conversion from numbers to pointers.
_pread = types.ExternalFunction("pread", types.intp(types.int32, types.uintp, types.uintp, types.int64))


@intrinsic
def prefetch(typing_context: Any, array: Any, place: Any) -> Any:
    """Ask for the cache line of ``array[place]`` without waiting for it."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        data = context.make_array(signature.args[0])(context, builder, arguments[0]).data
        pointer = builder.bitcast(builder.gep(data, [arguments[1]]), ir.IntType(8).as_pointer())
        number = ir.IntType(32)
        kind = ir.FunctionType(ir.VoidType(), [pointer.type, number, number, number])
        function = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0")
        builder.call(function, [pointer, number(0), number(3), number(1)])  # to read, keep, data
        return context.get_dummy_value()

    return types.void(array, place), generate


@numba.njit(nogil=True, cache=True)
def scatter_rows(
    indptr: np.ndarray, indices: np.ndarray, data: np.ndarray, rows: np.ndarray, dense: np.ndarray
) -> None:
    """Write the given rows of a CSR matrix into ``dense`` (rows × columns), zeros included."""
    for place in range(rows.shape[0]):
        if place + AHEAD < rows.shape[0]:
            later = rows[place + AHEAD]
            for entry in range(indptr[later], indptr[later + 1], LINE):
                prefetch(indices, np.int64(entry))
                prefetch(data, np.int64(entry))
        target = dense[place]
        target[:] = 0
        start, stop = indptr[rows[place]], indptr[rows[place] + 1]
        columns, values = indices[start:stop], data[start:stop]
        for entry in range(columns.shape[0]):
            target[np.uint32(columns[entry])] = values[entry]  # unsigned: no test for negative places


@numba.njit(nogil=True, cache=True)
def close_group(total: np.ndarray, squares: float, size: int, mean: np.ndarray) -> float:
    """Write the mean of a group's sums (genes), and give its scatter, Σ x² − Σ total² / size."""
    explained = 0.0
    for gene in range(total.shape[0]):
        mean[gene] = total[gene] / size
        explained += total[gene] * total[gene] / size
    return squares - explained


@numba.njit(nogil=True, cache=True)
def group_moments(
    indptr: np.ndarray,
    indices: np.ndarray,
    data: np.ndarray,
    rows: np.ndarray,
    bounds: np.ndarray,
    means: np.ndarray,
    scatter: np.ndarray,
) -> None:
    """Mean and scatter of groups of rows of a CSR matrix, summed in float64.

    Args:
        indptr: of the matrix.
        indices: of the matrix.
        data: of the matrix.
        rows: row numbers, group after group.
        bounds: where each group starts in ``rows``, and where the last one ends (groups + 1).
        means: written, groups × genes.
        scatter: written, each group's Σ (x − mean)² over its cells and all genes (groups, float64).
    """
    total = np.empty(means.shape[1], dtype=np.float64)
    for group in range(bounds.shape[0] - 1):
        total[:] = 0
        squares = 0.0
        for place in range(bounds[group], bounds[group + 1]):
            for entry in range(indptr[rows[place]], indptr[rows[place] + 1]):
                value = np.float64(data[entry])
                total[np.uint32(indices[entry])] += value
                squares += value * value
        scatter[group] = close_group(total, squares, bounds[group + 1] - bounds[group], means[group])


@numba.njit(nogil=True, cache=True)
def read_spans(file: int, item_bytes: int, starts: np.ndarray, lengths: np.ndarray, out: np.ndarray) -> bool:
    """Read spans of a file, one after the other, into ``out``; spans that touch are read at once.

    Args:
        file: the file's descriptor.
        item_bytes: bytes of an item.
        starts: first item of each span, ascending.
        lengths: items of each span.
        out: bytes, as many as the spans have.

    Returns:
        Whether everything could be read.
    """
    address, span = out.ctypes.data, 0
    while span < starts.shape[0]:
        offset, wanted = starts[span], lengths[span]
        span += 1
        while span < starts.shape[0] and starts[span] == offset + wanted:
            wanted += lengths[span]
            span += 1
        offset, wanted = offset * item_bytes, wanted * item_bytes
        while wanted > 0:
            got = _pread(np.int32(file), np.uintp(address), np.uintp(wanted), np.int64(offset))
            if got <= 0:
                return False
            address, offset, wanted = address + got, offset + got, wanted - got
    return True
