"""The content of two h5ad files, in pieces: memory does not grow with the number of cells."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from perturbench_lamin.comparison.tree import Element, blocks, unlike
from perturbench_lamin.reproduction.differences import Difference, Names, renamed, values
from perturbench_lamin.storage.anndata_file import AnnDataFile
from perturbench_lamin.storage.reading import reading


def compare_h5ad(recorded: Path, now: Path, names: Names) -> Iterator[Difference]:
    """Every difference between two files: of groups, arrays, attributes and types; the layout on disk is none.

    Only values can be close; every other difference is infinite.

    Raises:
        IntegrityError: one of them is damaged.
    """
    with AnnDataFile(recorded) as one, AnnDataFile(now) as other, reading(f"{recorded} and {now}"):
        for found in unlike(one.root, other.root, ""):
            if found.values:
                yield from _sizes(one.root[found.place], other.root[found.place], f"/{found.place}", names)
            else:
                yield f"/{found.place}: {found.what}", np.inf


def _sizes(one: Element, other: Element, where: str, names: Names) -> Iterator[Difference]:
    """By how much the values of two arrays of one shape differ, those of the record renamed."""
    found = (each for x, y in blocks(one, other, where) for each in values(_texts(x, names), _texts(y, {}), ""))
    largest = max((size for _, size in found), default=0.0)
    if largest:
        yield where, largest


def _texts(array: np.ndarray, names: Names) -> np.ndarray:
    """Values as they are, text decoded and renamed."""
    array = np.asarray(array)
    if array.dtype.kind not in "OSUT":
        return array
    texts = [one.decode() if isinstance(one, bytes) else one for one in array.ravel().tolist()]
    new = [renamed(text, names) if isinstance(text, str) else text for text in texts]
    return np.array(new, dtype=object).reshape(array.shape)
