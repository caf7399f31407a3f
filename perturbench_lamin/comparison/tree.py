"""Two elements of HDF5 files (or zarr folders) compared exactly: what they hold, and in which form it is stored."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias

import h5py
import numpy as np

from perturbench_lamin.storage.reading import reading

Element: TypeAlias = Any
"""A group or an array, of HDF5 or zarr."""

BLOCK = 1 << 20
"""Values of each file that are in memory at a time."""

FORM = frozenset({
    "encoding-type", "encoding-version", "shape", "h5sparse_format", "h5sparse_shape", "column-order", "_index",
    "index", "ordered", "categories", "na-value", "form",
})  # fmt: skip
"""Attributes that say how an element is stored; any other one is content."""


@dataclass(frozen=True)
class Unlike:
    """Where two elements are not alike.

    Attributes:
        place: path in the file.
        what: in words.
        form: whether it is how the content is stored, not the content.
        values: whether it is that values of two arrays of one shape are not the same.
    """

    place: str
    what: str
    form: bool = False
    values: bool = False

    def __str__(self) -> str:
        return f"{self.place or '/'} ({self.what})"


def _compare_all(place: str) -> bool:
    return True


def unlike(a: Element, b: Element, place: str, values: Callable[[str], bool] = _compare_all) -> Iterator[Unlike]:
    """Where two elements are not alike; nothing where they hold the same in the same form.

    Compression, the layout in chunks, byte order and how text is padded do not matter. NaN is like NaN.

    Args:
        a: a group or an array of the first file.
        b: of the second.
        place: the path that names them.
        values: whether the values of the array at a path are to be compared; where not, another length is a form.
    """
    yield from _attributes(a, b, place)
    if is_group(a) and is_group(b):
        yield from _groups(a, b, place, values)
    elif not is_group(a) and not is_group(b):
        yield from _arrays(a, b, place, values(place))
    else:
        yield Unlike(place, "group / array", form=not values(place))


def is_group(element: Element) -> bool:
    """Whether an element holds others; else it is an array."""
    return not hasattr(element, "dtype")


def same(a: Element, b: Element) -> bool:
    """Whether two elements hold the same values; the form in which they are stored is left aside."""
    return all(found.form for found in unlike(a, b, ""))


def _attributes(a: Element, b: Element, place: str) -> Iterator[Unlike]:
    for name in sorted({*_attribute_names(a, place), *_attribute_names(b, place)}):
        one, other = (_attribute(element, name, place) for element in (a, b))
        if not _equal(one, other):
            yield Unlike(place, f"attribute {name}", form=name in FORM)


def _attribute_names(element: Element, place: str) -> list[str]:
    with reading(_path(element), place):
        return list(element.attrs)


def _attribute(element: Element, name: str, place: str = "") -> np.ndarray:
    with reading(_path(element), f"The attribute {name!r} of {place or '/'}"):
        value = element.attrs.get(name)
    if value is None or isinstance(value, h5py.Empty | h5py.Reference):
        return np.asarray("" if value is None else "(stored)")
    return np.asarray(value.decode() if isinstance(value, bytes) else value)


def _path(element: Element) -> str:
    """The file that an element stands in."""
    return str(element.file.filename if hasattr(element, "file") else element.store_path)


def _groups(a: Element, b: Element, place: str, values: Callable[[str], bool]) -> Iterator[Unlike]:
    for name in sorted({*a, *b}):
        inner = f"{place}/{name}" if place else name
        if name in a and name in b:
            yield from unlike(a[name], b[name], inner, values)
        else:
            only = a[name] if name in a else b[name]
            nothing = str(_attribute(only, "encoding-type", inner)) == "null"  # so anndata writes what is not there
            empty = nothing or (is_group(only) and not len(only))
            yield Unlike(inner, f"only in {'A' if name in a else 'B'}", form=empty)


def _arrays(a: Element, b: Element, place: str, compared: bool) -> Iterator[Unlike]:
    kinds = _kind(a.dtype), _kind(b.dtype)
    if kinds[0] != kinds[1]:
        yield Unlike(place, f"{kinds[0]} / {kinds[1]}", form=True)
    if a.shape != b.shape:
        yield Unlike(place, f"shape {a.shape} / {b.shape}", form=not compared)
    elif compared and not all(_equal(x, y) for x, y in blocks(a, b, place)):
        yield Unlike(place, "values", values=True)


def _kind(dtype: np.dtype) -> str:
    if dtype.kind in "SUT" or h5py.check_string_dtype(dtype) is not None:
        return "text"
    return str(dtype.newbyteorder("="))


def blocks(a: Element, b: Element, place: str) -> Iterator[tuple[Any, Any]]:
    """The values of two arrays of one shape, a block of rows at a time."""
    if not a.shape:  # a scalar, or nothing at all
        if a.shape is not None:
            yield np.asarray(_text(_read(a, (), place))), np.asarray(_text(_read(b, (), place)))
        return
    rows = max(1, BLOCK // max(1, int(np.prod(a.shape[1:]))))
    for start in range(0, len(a), rows):
        span = slice(start, start + rows)
        yield _read(a, span, place), _read(b, span, place)


def _read(element: Element, span: Any, place: str) -> Any:
    with reading(_path(element), place):
        return element[span]


def _equal(x: np.ndarray, y: np.ndarray) -> bool:
    if x.shape != y.shape or x.dtype.names != y.dtype.names:
        return False
    if x.dtype.names:
        return all(_equal(x[name], y[name]) for name in x.dtype.names)
    if x.dtype.kind in "OSUT" or y.dtype.kind in "OSUT":
        return all(_same_item(p, q) for p, q in zip(x.ravel().tolist(), y.ravel().tolist(), strict=True))
    same_values = x == y
    if x.dtype.kind in "fc" and y.dtype.kind in "fc":
        same_values |= np.isnan(x) & np.isnan(y)
    return bool(np.all(same_values))


def _same_item(p: Any, q: Any) -> bool:
    if isinstance(p, np.ndarray) or isinstance(q, np.ndarray):  # lists of numbers of different lengths
        return _equal(np.asarray(p), np.asarray(q))
    if isinstance(p, h5py.Reference) and isinstance(q, h5py.Reference):
        return True  # what they refer to is compared where it stands
    return bool(_text(p) == _text(q))


def _text(value: Any) -> Any:
    return value.decode(errors="surrogateescape") if isinstance(value, bytes) else value
