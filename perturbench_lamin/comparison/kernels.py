"""Two blocks of sparse rows compared value by value, under every relation that is asked for, in one pass."""

from __future__ import annotations

import numba
import numpy as np

NONE, CELL_SCALE, LOG_CELL_SCALE = 0, 1, 2
"""How b follows from a in a row: b = a; b = s·a; expm1(b) = s·expm1(a)."""


@numba.njit(nogil=True, cache=True)
def close(x: float, y: float, rtol: float, atol: float) -> bool:
    """Whether two values agree within tolerance; NaN agrees with NaN, an infinity with itself."""
    if x == y or (np.isnan(x) and np.isnan(y)):
        return True
    if np.isnan(x) or np.isnan(y) or np.isinf(x) or np.isinf(y):
        return False
    return abs(x - y) <= atol + rtol * max(abs(x), abs(y))


@numba.njit(nogil=True, cache=True)
def union(ai, av, bi, bv, columns, x, y):  # type: ignore[no-untyped-def]
    """Lay two sparse rows beside each other, without the entries that are 0 in both; return how many are left.

    Args:
        ai: sorted column numbers of a's row.
        av: its values.
        bi: sorted column numbers of b's row.
        bv: its values.
        columns: filled with column numbers; at least ``len(ai) + len(bi)`` long.
        x: filled with a's values.
        y: filled with b's values.
    """
    i = j = n = 0
    while i < len(ai) or j < len(bi):
        if j == len(bi) or (i < len(ai) and ai[i] < bi[j]):
            column, left, right = ai[i], av[i], 0.0
            i += 1
        elif i == len(ai) or bi[j] < ai[i]:
            column, left, right = bi[j], 0.0, bv[j]
            j += 1
        else:
            column, left, right = ai[i], av[i], bv[j]
            i, j = i + 1, j + 1
        if left != 0 or right != 0:
            columns[n], x[n], y[n] = column, left, right
            n += 1
    return n


@numba.njit(nogil=True, cache=True)
def related(x: float, scale: float, relation: int) -> float:
    """What b should be where a is ``x``; :func:`expected` for one value."""
    if relation == CELL_SCALE:
        return scale * x
    if relation == LOG_CELL_SCALE:
        return np.log1p(scale * np.expm1(x))
    return x


@numba.njit(nogil=True, cache=True)
def expected(x, scale, relation):  # type: ignore[no-untyped-def]
    """What b should be for each value of a, given the scale of its row."""
    made = np.empty(len(x))
    for k in range(len(x)):
        made[k] = related(x[k], scale[k], relation)
    return made


@numba.njit(nogil=True, cache=True)
def row_scale(x, y, relation):  # type: ignore[no-untyped-def]
    """The median ratio of b to a where both are neither 0 nor infinite, and from how many values."""
    ratios = np.empty(len(x))
    n = 0
    for k in range(len(x)):
        left, right = x[k], y[k]
        if relation == LOG_CELL_SCALE:
            left, right = np.expm1(left), np.expm1(right)
        if left != 0 and right != 0 and np.isfinite(left) and np.isfinite(right):
            ratios[n] = right / left
            n += 1
    return (np.median(ratios[:n]) if n else np.nan), n


@numba.njit(nogil=True, cache=True)
def count_unlike(x, y, scale, relation, rtol, atol):  # type: ignore[no-untyped-def]
    """How many values do not follow the relation."""
    n = 0
    for k in range(len(x)):
        if not close(related(x[k], scale, relation), y[k], rtol, atol):
            n += 1
    return n


@numba.njit(nogil=True, cache=True)
def compare_rows(a_ptr, a_idx, a_val, b_ptr, b_idx, b_val, rtol, atol, counts, scales):  # type: ignore[no-untyped-def]
    """Compare rows under every relation.

    Args:
        a_ptr: row pointers of a; with ``a_idx`` and ``a_val`` a canonical CSR block.
        a_idx: column numbers.
        a_val: float64 values.
        b_ptr: of b, as many rows.
        b_idx: column numbers.
        b_val: float64 values.
        rtol: relative tolerance.
        atol: absolute tolerance.
        counts: rows × 7, filled: values that are not 0 in both; unequal; outside tolerance; not fitting a scale of
            the row; not fitting a scale of the row before log1p; from how many values the row's scale comes;
            NaN in both.
        scales: rows × 2, filled: the row's scale, and before log1p; NaN where there is none.
    """
    longest = 0
    for row in range(len(counts)):
        longest = max(longest, a_ptr[row + 1] - a_ptr[row] + b_ptr[row + 1] - b_ptr[row])
    columns, x, y = np.empty(longest, np.int64), np.empty(longest), np.empty(longest)
    for row in range(len(counts)):
        a, b = slice(a_ptr[row], a_ptr[row + 1]), slice(b_ptr[row], b_ptr[row + 1])
        n = union(a_idx[a], a_val[a], b_idx[b], b_val[b], columns, x, y)
        counts[row, 0] = n
        for k in range(n):
            both = np.isnan(x[k]) and np.isnan(y[k])
            counts[row, 6] += both
            counts[row, 1] += x[k] != y[k] and not both
        scales[row, :] = 1.0 if n else np.nan
        counts[row, 5] = n
        if counts[row, 1]:
            counts[row, 2] = count_unlike(x[:n], y[:n], 1.0, NONE, rtol, atol)
            for relation in (CELL_SCALE, LOG_CELL_SCALE):
                scale, seen = row_scale(x[:n], y[:n], relation)
                scales[row, relation - 1], counts[row, 5] = scale, seen
                fits = scale > 0 and np.isfinite(scale)
                counts[row, 2 + relation] = count_unlike(x[:n], y[:n], scale, relation, rtol, atol) if fits else n


@numba.njit(nogil=True, cache=True)
def list_unlike(a_ptr, a_idx, a_val, b_ptr, b_idx, b_val, rtol, atol, scales, relation, rows, columns, x, y):  # type: ignore[no-untyped-def]
    """List the values that do not follow a relation; return how many.

    Args:
        a_ptr: row pointers of a; the blocks are as in :func:`compare_rows`.
        a_idx: column numbers.
        a_val: float64 values.
        b_ptr: of b.
        b_idx: column numbers.
        b_val: float64 values.
        rtol: relative tolerance.
        atol: absolute tolerance.
        scales: the scale of each row.
        relation: which.
        rows: filled with row numbers; as long as both blocks have values together.
        columns: filled with column numbers.
        x: filled with a's values.
        y: filled with b's values.
    """
    total = 0
    for row in range(len(scales)):
        a, b = slice(a_ptr[row], a_ptr[row + 1]), slice(b_ptr[row], b_ptr[row + 1])
        n = union(a_idx[a], a_val[a], b_idx[b], b_val[b], columns[total:], x[total:], y[total:])
        kept = total
        for k in range(total, total + n):
            if not close(related(x[k], scales[row], relation), y[k], rtol, atol):
                rows[kept], columns[kept], x[kept], y[kept] = row, columns[k], x[k], y[k]
                kept += 1
        total = kept
    return total
