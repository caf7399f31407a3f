"""The content of two h5ad files, in pieces: memory does not grow with the number of cells."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import h5py
import numpy as np

from perturbench_lamin.reproduction.differences import BLOCK, Difference, Names, renamed, values
from perturbench_lamin.storage.anndata_file import AnnDataFile
from perturbench_lamin.storage.reading import reading


def compare_h5ad(recorded: Path, now: Path, names: Names) -> Iterator[Difference]:
    """Every difference between the groups and arrays of two files.

    Raises:
        IntegrityError: one of them is damaged.
    """
    with AnnDataFile(recorded) as one, AnnDataFile(now) as other, reading(f"{recorded} and {now}"):
        yield from _groups(one.root, other.root, "", names)


def _groups(one: h5py.Group, other: h5py.Group, where: str, names: Names) -> Iterator[Difference]:
    for name in sorted({*one, *other}):
        place = f"{where}/{name}"
        if name not in one or name not in other:
            yield f"{place} only {'now' if name in other else 'in the record'}", np.inf
        elif isinstance(one[name], h5py.Group) and isinstance(other[name], h5py.Group):
            yield from _attributes(one[name], other[name], place)
            yield from _groups(one[name], other[name], place, names)
        elif isinstance(one[name], h5py.Dataset) and isinstance(other[name], h5py.Dataset):
            yield from _arrays(one[name], other[name], place, names)
        else:
            yield f"{place} is of another kind", np.inf


def _attributes(one: h5py.Group, other: h5py.Group, where: str) -> Iterator[Difference]:
    """Attributes that hold content: the shape of a sparse matrix, the order of columns, which way it is stored."""
    for name in ("shape", "column-order", "_index", "encoding-type", "ordered"):
        if not np.array_equal(one.attrs.get(name, ""), other.attrs.get(name, "")):
            yield f"{where} ({name})", np.inf


def _arrays(one: h5py.Dataset, other: h5py.Dataset, where: str, names: Names) -> Iterator[Difference]:
    if one.shape != other.shape:
        yield f"{where}: shape {one.shape}, now {other.shape}", np.inf
        return
    if not one.shape:
        yield from values(_scalar(one, names), _scalar(other, {}), where)
        return
    rows = max(1, BLOCK // max(1, int(np.prod(one.shape[1:]))))
    largest = 0.0
    for start in range(0, one.shape[0], rows):
        for _, size in values(one[start : start + rows], other[start : start + rows], where):
            largest = max(largest, size)
    if largest:
        yield where, largest


def _scalar(dataset: h5py.Dataset, names: Names) -> np.ndarray:
    if dataset.shape is None:
        return np.asarray(())
    value = dataset[()]
    return np.asarray(renamed(value.decode(), names) if isinstance(value, bytes) else value)
