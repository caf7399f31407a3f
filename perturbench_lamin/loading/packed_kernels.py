"""Compiled loops over packed rows: rows are put together in the first cache and written past the others.

They release the interpreter's lock, so plain threads share them out.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
from llvmlite import ir  # type: ignore[import-untyped]
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from perturbench_lamin.loading.kernels import AHEAD, LINE, close_group, prefetch

BLOCK = 16
"""Genes of a block, one bit each; float32 values of a cache line and of the widest vectors."""

BLOCKS_OF_A_LINE = 32
"""Blocks' bits in a cache line."""

_FLOAT, _BITS, _PLACE = ir.FloatType(), ir.IntType(BLOCK), ir.IntType(64)
_VALUES, _MASK = ir.VectorType(_FLOAT, BLOCK), ir.VectorType(ir.IntType(1), BLOCK)


@numba.njit(nogil=True, cache=True)
def pack_bits(indptr: np.ndarray, indices: np.ndarray, bits: np.ndarray) -> None:
    """Set the bits of a CSR matrix's stored values, of zeros before.

    Args:
        indptr: of the matrix.
        indices: of the matrix.
        bits: written (cells × blocks, uint16): gene g is bit g mod 16 of block g // 16.
    """
    for row in range(bits.shape[0]):
        for entry in range(indptr[row], indptr[row + 1]):
            gene = np.uint32(indices[entry])
            bits[row, gene // BLOCK] |= np.uint16(1) << np.uint16(gene % BLOCK)


@numba.njit(nogil=True, cache=True)
def expand_rows(
    indptr: np.ndarray, bits: np.ndarray, data: np.ndarray, rows: np.ndarray, dense: np.ndarray, stream: bool
) -> None:
    """Write the given packed rows into ``dense``, zeros included.

    Args:
        indptr: where each row's values start, and where the last one's end (cells + 1).
        bits: which genes have a value (cells × blocks, uint16).
        data: the values (entries, float32).
        rows: row numbers.
        dense: written (rows × genes, float32, contiguous).
        stream: write past the caches: right where nobody reads the result before it would have left them.
    """
    genes, blocks = dense.shape[1], bits.shape[1]
    out, all_bits = dense.reshape(-1), bits.reshape(-1)
    line = np.empty(genes + 2 * BLOCK, dtype=np.float32)  # what is left of the row before, a row, the block's end
    to_line = (-(out.ctypes.data // 4)) % BLOCK  # values before the first that starts a cache line
    written, left = 0, 0
    for place in range(rows.shape[0]):
        if place + AHEAD < rows.shape[0]:
            later = rows[place + AHEAD]
            for entry in range(indptr[later], indptr[later + 1], LINE):
                prefetch(data, np.int64(entry))
            for block in range(later * blocks, (later + 1) * blocks, BLOCKS_OF_A_LINE):
                prefetch(all_bits, np.int64(block))
        _expand(line, left, all_bits, rows[place] * blocks, blocks, data, indptr[rows[place]])
        held, start = left + genes, 0
        if stream:
            if written < to_line:
                start = min(to_line - written, held)
                out[written : written + start] = line[:start]
                written += start
            whole = (held - start) // BLOCK
            write_past_caches(out, written, line, start, whole)
            written, start = written + BLOCK * whole, start + BLOCK * whole
            left = held - start
            for value in range(left):
                line[value] = line[start + value]
        else:
            out[written : written + genes] = line[:genes]
            written += genes
    out[written : written + left] = line[:left]
    _fence()


@numba.njit(nogil=True, cache=True)
def packed_moments(
    indptr: np.ndarray,
    bits: np.ndarray,
    data: np.ndarray,
    rows: np.ndarray,
    bounds: np.ndarray,
    means: np.ndarray,
    scatter: np.ndarray,
) -> None:
    """The same as :func:`~perturbench_lamin.loading.kernels.group_moments`, of packed rows."""
    genes, blocks, all_bits = means.shape[1], bits.shape[1], bits.reshape(-1)
    total, line = np.empty(genes, dtype=np.float64), np.empty(genes + BLOCK, dtype=np.float32)
    for group in range(bounds.shape[0] - 1):
        total[:] = 0
        squares = 0.0
        for place in range(bounds[group], bounds[group + 1]):
            row = rows[place]
            _expand(line, 0, all_bits, row * blocks, blocks, data, indptr[row])
            for gene in range(genes):
                total[gene] += np.float64(line[gene])
            for entry in range(indptr[row], indptr[row + 1]):
                squares += np.float64(data[entry]) * np.float64(data[entry])
        scatter[group] = close_group(total, squares, bounds[group + 1] - bounds[group], means[group])


@intrinsic
def _expand(typing_context: Any, line: Any, at: Any, bits: Any, first: Any, blocks: Any, data: Any, entry: Any) -> Any:
    """Write a row's blocks to ``line`` from ``at`` on: each value to its bit's place, zeros elsewhere."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        line, bits, data = (_data(context, builder, signature, arguments, place) for place in (0, 2, 5))
        target = builder.bitcast(builder.gep(line, [arguments[1]]), _VALUES.as_pointer())
        masks = builder.gep(bits, [arguments[3]])
        kind = ir.FunctionType(_VALUES, [_FLOAT.as_pointer(), _MASK, _VALUES])
        expand = cgutils.get_or_insert_function(builder.module, kind, "llvm.masked.expandload.v16f32")
        count = cgutils.get_or_insert_function(builder.module, ir.FunctionType(_BITS, [_BITS]), "llvm.ctpop.i16")
        place = cgutils.alloca_once_value(builder, arguments[6])
        with cgutils.for_range(builder, arguments[4]) as loop:
            mask, here = builder.load(builder.gep(masks, [loop.index])), builder.load(place)
            lanes, zeros = builder.bitcast(mask, _MASK), ir.Constant(_VALUES, [0.0] * BLOCK)
            values = builder.call(expand, [builder.gep(data, [here]), lanes, zeros])
            builder.store(values, builder.gep(target, [loop.index]), align=4)
            builder.store(builder.add(here, builder.zext(builder.call(count, [mask]), _PLACE)), place)
        return context.get_dummy_value()

    integer = types.intp
    return types.void(line, integer, bits, integer, integer, data, integer), generate


@intrinsic
def write_past_caches(typing_context: Any, out: Any, at: Any, line: Any, start: Any, blocks: Any) -> Any:
    """Copy whole cache lines, from ``line[start:]`` to ``out[at:]``, which begins a cache line."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        out, line = (_data(context, builder, signature, arguments, place) for place in (0, 2))
        target = builder.bitcast(builder.gep(out, [arguments[1]]), _VALUES.as_pointer())
        source = builder.bitcast(builder.gep(line, [arguments[3]]), _VALUES.as_pointer())
        hint = builder.module.add_metadata([ir.Constant(ir.IntType(32), 1)])
        with cgutils.for_range(builder, arguments[4]) as loop:
            values = builder.load(builder.gep(source, [loop.index]), align=4)
            store = builder.store(values, builder.gep(target, [loop.index]), align=4 * BLOCK)
            store.set_metadata("nontemporal", hint)
        return context.get_dummy_value()

    return types.void(out, types.intp, line, types.intp, types.intp), generate


@intrinsic
def _fence(typing_context: Any) -> Any:
    """Wait until what was written past the caches is there for other threads."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        builder.fence("seq_cst")
        return context.get_dummy_value()

    return types.void(), generate


def _data(context: Any, builder: Any, signature: Any, arguments: Any, place: int) -> Any:
    return context.make_array(signature.args[place])(context, builder, arguments[place]).data
