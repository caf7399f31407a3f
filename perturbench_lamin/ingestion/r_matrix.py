"""R's sparse matrices as SciPy's."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from perturbench_lamin.errors import IntegrityError
from perturbench_lamin.ingestion.r_objects import RObject

CHUNK = 1 << 22


@dataclass(frozen=True)
class CellsByGenes:
    """A count matrix turned to cells × genes.

    Attributes:
        matrix: CSR, cells × genes; float32 where that holds every value exactly, float64 otherwise.
        cells: the cells' names; empty where the matrix has none.
        genes: the genes' names; empty where the matrix has none.
    """

    matrix: sp.csr_matrix
    cells: list[str]
    genes: list[str]


def from_dgc_matrix(obj: RObject) -> CellsByGenes:
    """Make cells × genes CSR of a ``dgCMatrix``, genes × cells.

    The compressed columns of a matrix are the compressed rows of its transpose, so that the indices are used
    as they are; only the values are converted, 8 bytes to 4.

    Raises:
        IntegrityError: a slot is missing, or the arrays contradict each other.
    """
    arrays = {name: obj.slot(name).value for name in ("i", "p", "x", "Dim") if obj.slot(name) is not None}
    missing = {"i", "p", "x", "Dim"} - arrays.keys()
    if missing:
        raise IntegrityError(
            f"A dgCMatrix without {', '.join(sorted(missing))}", fix="The file is corrupt: fetch it again."
        )
    if any(arrays[name].dtype.kind != kind for name, kind in (("i", "i"), ("p", "i"), ("Dim", "i"), ("x", "f"))):
        raise IntegrityError("A dgCMatrix whose slots are of other types", fix="The file is corrupt: fetch it again.")
    genes, cells = (int(n) for n in arrays["Dim"])
    try:
        matrix = sp.csr_matrix((exact_float32(arrays["x"]), arrays["i"], arrays["p"]), shape=(cells, genes), copy=False)
        matrix.check_format(full_check=True)
        _require_ascending(matrix)
    except ValueError as error:
        raise IntegrityError(f"A dgCMatrix whose arrays contradict each other: {error}") from error
    dim_names = obj.slot("Dimnames")
    names = [_strings(side) for side in dim_names.value] if dim_names is not None else [[], []]
    if any(side and len(side) != n for side, n in zip(names, (genes, cells), strict=True)):
        raise IntegrityError(
            f"A dgCMatrix of {genes:,} × {cells:,} with {len(names[0]):,} and {len(names[1]):,} names",
            fix="The file is corrupt: fetch it again.",
        )
    return CellsByGenes(matrix, cells=names[1], genes=names[0])


def _require_ascending(matrix: sp.csr_matrix) -> None:
    """Check that each cell's genes are in order and there once, as R requires; SciPy does not."""
    starts = np.zeros(CHUNK, dtype=bool)
    for begin in range(1, matrix.nnz, CHUNK):
        part = matrix.indices[begin - 1 : begin + CHUNK]
        rows = matrix.indptr[np.searchsorted(matrix.indptr, begin) : np.searchsorted(matrix.indptr, begin + CHUNK)]
        starts[:] = False
        starts[rows - begin] = True
        if ((part[1:] <= part[:-1]) & ~starts[: len(part) - 1]).any():
            raise ValueError("a cell's genes are not in ascending order")


@dataclass(frozen=True)
class OtherValues:
    """What is kept of a matrix whose values are not counts: one of them, as an example."""

    example: float


def counts_of_dgc_matrix(obj: RObject) -> CellsByGenes | OtherValues:
    """Make cells × genes of a ``dgCMatrix`` of counts; of one of other values, such as normalised ones, keep one.

    An object holds several matrices, of which only the counts are wanted: what is dropped at once is never held
    beside them.

    Raises:
        IntegrityError: as for :func:`from_dgc_matrix`.
    """
    values = obj.slot("x").value if obj.slot("x") is not None else np.zeros(0)
    for start in range(0, len(values), CHUNK):
        part = values[start : start + CHUNK]
        other = ~((part >= 0) & (part == np.floor(part)))
        if other.any():
            return OtherValues(float(part[other][0]))
    return from_dgc_matrix(obj)


def exact_float32(values: npt.NDArray[np.float64]) -> npt.NDArray[np.floating]:
    """The values as float32 where none changes by it, else as they are."""
    small = np.empty(values.shape, dtype=np.float32)
    for start in range(0, len(values), CHUNK):
        part = slice(start, start + CHUNK)
        with np.errstate(over="ignore"):
            small[part] = values[part]
        if not np.array_equal(small[part], values[part]):
            return values
    return small


def _strings(names: RObject | None) -> list[str]:
    return [str(name) for name in names.value] if names is not None else []
