"""A matrix on disk of which no kernel sees a part that has not been checked: CSR, CSC or dense, HDF5 or zarr.

What a compiled loop trusts is made sure of here: pointers from 0 to the number of values that never fall, column
numbers that are whole and in range, lengths that agree, one number type in the machine's byte order.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
from scipy import sparse

from perturbench_lamin.errors import InputError, IntegrityError
from perturbench_lamin.storage.reading import AGAIN, reading
from perturbench_lamin.storage.tables import native

SPARSE = {"csr_matrix": "csr", "csc_matrix": "csc"}
REWRITE = "Write it again with X = scipy.sparse.csr_matrix(X)."


class StoredArray:
    """An array of numbers on disk whose slices come as kernels want them.

    Native byte order; truth values and float16 as float32, which holds them exactly.

    Args:
        element: of the file.
        path: the file, for messages.
        place: what it is in the file.
        kinds: the kinds of number that are allowed, as numpy's ``dtype.kind``.
        dimensions: how many.

    Raises:
        IntegrityError: it is no array of so many dimensions, or of other values.
    """

    def __init__(self, element: Any, path: Path, place: str, *, kinds: str = "biuf", dimensions: int = 1) -> None:
        self._element, self._path, self._place = element, path, place
        with reading(path, place):
            self.stored_dtype: Any = getattr(element, "dtype", None)
            shape = getattr(element, "shape", None)
        kind = getattr(self.stored_dtype, "kind", None)
        if shape is None or kind is None or len(shape) != dimensions:
            found = "no array" if shape is None or kind is None else f"an array of {len(shape)} dimensions"
            raise IntegrityError(f"{place} is {found}, not one of {dimensions}", where=path, fix=AGAIN)
        if kind not in kinds or getattr(self.stored_dtype, "itemsize", 0) > 8:
            wanted = "numbers" if "f" in kinds else "whole numbers"
            raise IntegrityError(f"{place} holds {self.stored_dtype} values, not {wanted}", where=path, fix=AGAIN)
        self.shape: tuple[int, ...] = tuple(int(length) for length in shape)
        self.dtype = as_numbers(np.empty(0, self.stored_dtype)).dtype

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, span: Any) -> np.ndarray:
        with reading(self._path, self._place):
            return as_numbers(np.asarray(self._element[span]))


class StoredMatrix:
    """A matrix on disk.

    Args:
        element: of the file: a dense array, or a group with ``data``, ``indices`` and ``indptr``.
        path: the file, for messages.
        place: what it is in the file, such as ``layers/counts``.
        flat: whether an array of more than two axes is taken, with those after the first laid flat.

    Attributes:
        format: ``csr``, ``csc`` or ``dense``.
        shape: rows × columns.
        dtype: of the values that are read.
        stored_dtype: of the values in the file.
        entries: how many values are stored.
        indptr: int64 pointers of the rows (CSR) or columns (CSC); empty of a dense matrix.
        data: the values, to be read by slices.
        indices: the column (CSR) or row (CSC) numbers, not yet checked: see :meth:`numbers`.

    Raises:
        IntegrityError: its parts contradict each other.
        InputError: it is stored in another way.
    """

    def __init__(self, element: Any, path: Path, place: str, *, flat: bool = False) -> None:
        self.path, self.place = path, place
        with reading(path, place):
            self.format, shape = _layout(element, path, place)
        if self.format == "dense":
            axes = max(2, len(element.shape)) if flat else 2
            self.data = StoredArray(element, path, place, dimensions=axes)
            self.shape: tuple[int, int] = (self.data.shape[0], math.prod(self.data.shape[1:]))
            self.indptr = np.zeros(0, dtype=np.int64)
            self.entries = math.prod(self.shape)
        else:
            self.shape = _shape(shape, path, place)
            parts = {name: _part(element, name, path, place) for name in ("data", "indices", "indptr")}
            self.data = StoredArray(parts["data"], path, f"{place}/data")
            self.indices = StoredArray(parts["indices"], path, f"{place}/indices", kinds="iu")
            self.entries = len(self.data)
            pointers = StoredArray(parts["indptr"], path, f"{place}/indptr", kinds="iu")
            self.indptr = self._checked_pointers(pointers)
        self.dtype, self.stored_dtype = self.data.dtype, self.data.stored_dtype

    def require_shape(self, shape: tuple[int, int], tables: str = "obs and var") -> None:
        """Check that the matrix has a row and a column for each name.

        Raises:
            IntegrityError: it has not.
        """
        if self.shape != shape:
            raise IntegrityError(
                f"{self.place} has shape {self.shape}, {tables} say {shape}",
                where=self.path,
                fix="Write it again with anndata, cells × genes.",
            )

    def major(self, start: int, stop: int) -> Any:
        """Rows of a CSR or dense matrix, columns of a CSC one, checked: canonical sparse or an array."""
        if self.format == "dense":
            block = self.data[start:stop]
            return block.reshape(len(block), self.shape[1])
        low, high = int(self.indptr[start]), int(self.indptr[stop])
        data, indices = self.data[low:high], self.indices[low:high]
        return self._block(data, indices, self.indptr[start : stop + 1] - low)

    def rows(self, start: int, stop: int) -> sparse.csr_matrix:
        """Rows of a CSR or dense matrix, as canonical CSR."""
        block = self.major(start, stop)
        if sparse.issparse(block):
            return block
        made = sparse.csr_matrix(block)
        made.has_canonical_format = True  # scipy goes through the rows in order
        return canonical(made)

    def whole(self) -> Any:
        """The matrix in memory, in its own format."""
        return self.major(0, self.shape[1] if self.format == "csc" else self.shape[0])

    def numbers(self, start: int, stop: int) -> np.ndarray:
        """The column (CSR) or row (CSC) numbers of some of the stored values, int32, in range.

        Raises:
            IntegrityError: one is out of range.
        """
        indices = self.indices[start:stop]
        minor = self.shape[0] if self.format == "csc" else self.shape[1]
        if len(indices) and (int(indices.min()) < 0 or int(indices.max()) >= minor):
            raise self._out_of_range(indices, minor)
        return indices.astype(np.int32, copy=False)

    def _block(self, data: np.ndarray, indices: np.ndarray, indptr: np.ndarray) -> Any:
        by_column = self.format == "csc"
        minor = self.shape[0] if by_column else self.shape[1]
        shape = (minor, len(indptr) - 1) if by_column else (len(indptr) - 1, minor)
        made = compressed(data, indices, indptr, shape, self.format)
        if made is None:
            raise self._out_of_range(indices, minor)
        return made

    def _out_of_range(self, indices: np.ndarray, minor: int) -> IntegrityError:
        what = "cell" if self.format == "csc" else "gene"
        wrong = indices[(indices < 0) | (indices >= minor)]
        return IntegrityError(
            f"A {what} number is outside 0 to {minor - 1:,}: {int(wrong[0])} in {self.place}/indices",
            where=self.path,
            fix=AGAIN,
        )

    def _checked_pointers(self, pointers: StoredArray) -> np.ndarray:
        major = self.shape[1] if self.format == "csc" else self.shape[0]
        what = "column" if self.format == "csc" else "row"
        for name, array, wanted in (("indices", self.indices, self.entries), ("indptr", pointers, major + 1)):
            if len(array) != wanted:
                raise self._inconsistent(what, f"{name} has {len(array):,} entries, not {wanted:,}")
        read = pointers[:].astype(np.int64)
        if read[0] != 0:
            raise self._inconsistent(what, f"they begin at {read[0]:,}")
        if read[-1] != self.entries:
            raise self._inconsistent(what, f"they end at {read[-1]:,}, there are {self.entries:,} values")
        if (np.diff(read) < 0).any():
            raise self._inconsistent(what, "they fall")
        return read

    def _inconsistent(self, what: str, reason: str) -> IntegrityError:
        return IntegrityError(
            f"The {what} pointers of {self.place} are inconsistent: {reason}", where=self.path, fix=AGAIN
        )


def compressed(
    data: np.ndarray, indices: np.ndarray, indptr: np.ndarray, shape: tuple[int, int], format: str = "csr"
) -> Any:
    """A canonical CSR or CSC matrix of checked parts, int32 column (row) numbers; entries stored twice are added.

    Args:
        data: values, native.
        indices: column (CSC: row) numbers, native integers.
        indptr: from 0, never falling, to the number of values.
        shape: rows × columns.
        format: ``csr`` or ``csc``.

    Returns:
        The matrix, sharing memory where it can; None where a number is out of range.
    """
    from perturbench_lamin.storage.kernels import IN_ORDER, OUT_OF_RANGE, row_order  # numba: slow to import

    minor = shape[0] if format == "csc" else shape[1]
    if indices.dtype != np.int32:
        indices = indices.astype(np.int64, copy=False)
    order = row_order(indptr, indices, minor)
    if order == OUT_OF_RANGE:
        return None
    if order != IN_ORDER and data.dtype.kind in "iu":
        data = data.astype(np.int64)  # entries stored twice are added: their sum may be too large for a byte
    make = sparse.csc_matrix if format == "csc" else sparse.csr_matrix
    matrix = make((data, indices.astype(np.int32, copy=False), indptr), shape=shape)
    matrix.has_canonical_format = order == IN_ORDER  # known: scipy need not look through it again
    return canonical(matrix)


def canonical(matrix: Any) -> Any:
    """The matrix with each row's column numbers sorted and unique (entries stored twice are added), int32."""
    if not matrix.has_canonical_format:
        matrix = matrix.copy()
        matrix.sum_duplicates()
    if matrix.indices.dtype != np.int32:
        parts = (matrix.data, matrix.indices.astype(np.int32), matrix.indptr)
        matrix = type(matrix)(parts, shape=matrix.shape)
    return matrix


def checked(matrix: Any, where: object) -> Any:
    """A matrix in memory through the same checks as one on disk: canonical CSR or CSC, or an array of numbers.

    Raises:
        InputError: it is of another kind, or its parts contradict each other.
    """
    if sparse.issparse(matrix) and matrix.format in ("csr", "csc"):
        return _checked_sparse(matrix, where)
    if isinstance(matrix, np.ndarray) and matrix.ndim == 2 and matrix.dtype.kind in "biuf":
        return as_numbers(np.asarray(matrix))
    kind = f"an array of {matrix.dtype}" if isinstance(matrix, np.ndarray) else type(matrix).__name__
    raise InputError(f"Cannot read X of type {kind}", where=where, fix="Make it CSR, CSC or a numpy array of numbers.")


def _checked_sparse(matrix: Any, where: object) -> Any:
    by_column = matrix.format == "csc"
    major, minor = matrix.shape[::-1] if by_column else matrix.shape
    data, indices, indptr = (np.asarray(part) for part in (matrix.data, matrix.indices, matrix.indptr))
    used = int(indptr[-1]) if len(indptr) else 0  # scipy allows room after the last entry
    what, room = "cell" if by_column else "gene", min(len(data), len(indices))
    if data.dtype.kind not in "biuf" or any(part.dtype.kind not in "iu" for part in (indices, indptr)):
        reason = f"{data.dtype} values at {indices.dtype} places are no matrix of numbers"
    elif len(indptr) != major + 1 or indptr[0] != 0 or (np.diff(indptr) < 0).any() or used > room:
        reason = "its pointers do not go from 0 to the number of its values"
    else:
        parts = (as_numbers(data[:used]), as_numbers(indices[:used]), indptr.astype(np.int64))
        made = compressed(*parts, matrix.shape, matrix.format)
        if made is not None:
            return made
        reason = f"a {what} number is outside 0 to {minor - 1:,}"
    raise InputError(f"The matrix contradicts itself: {reason}", where=where, fix="Make the matrix again.")


def as_numbers(values: np.ndarray) -> np.ndarray:
    """The values in the machine's byte order, float16 and truth values as float32, which holds them exactly."""
    if values.dtype.kind == "b" or (values.dtype.kind == "f" and values.dtype.itemsize == 2):
        return values.astype(np.float32)
    return native(values)


def _layout(element: Any, path: Path, place: str) -> tuple[str, Any]:
    """The format of a matrix and, of a sparse one, what the file says is its shape."""
    if hasattr(element, "dtype"):
        return "dense", None
    old = _text(element.attrs.get("h5sparse_format"))  # anndata 0.6
    if old is not None and old in SPARSE.values():
        return old, element.attrs.get("h5sparse_shape")
    kind = _text(element.attrs.get("encoding-type"))
    if kind in SPARSE:
        return SPARSE[kind], element.attrs.get("shape")
    raise InputError(
        f"{place} is stored as {'a group without a type' if kind is None else repr(kind)}, "
        "not as a CSR, CSC or dense matrix",
        where=path,
        fix=REWRITE,
    )


def _shape(told: Any, path: Path, place: str) -> tuple[int, int]:
    with reading(path, place):
        values = np.asarray([] if told is None else told)
        if values.shape == (2,) and values.dtype.kind in "iu" and (values >= 0).all():
            return int(values[0]), int(values[1])
    raise IntegrityError(f"{place} does not say its shape", where=path, fix=AGAIN)


def _part(group: Any, name: str, path: Path, place: str) -> Any:
    with reading(path, f"{place}/{name}"):
        if name in group:
            return group[name]
    raise IntegrityError(f"{place} has no {name}", where=path, fix=AGAIN)


def _text(value: Any) -> str | None:
    """An attribute's text, whatever version wrote it; None where there is none."""
    value = value.decode(errors="backslashreplace") if isinstance(value, bytes) else value
    return value if isinstance(value, str) else None
