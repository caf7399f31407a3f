"""Embeddings of genes or perturbations in a file: named rows of numbers, made on another dataset."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from scipy import sparse

from perturbench_lamin.errors import InputError, PerturbenchError, some
from perturbench_lamin.files import atomic_path
from perturbench_lamin.storage.anndata_file import AnnDataFile


@dataclass(frozen=True)
class Embedding:
    """Named rows of numbers.

    Attributes:
        names: genes or perturbations, each once.
        values: names × dimensions, float64.
        source: where they came from, for error messages.
        about: what they were made of, in words that the file keeps.
    """

    names: tuple[str, ...]
    values: np.ndarray
    source: str = "embedding"
    about: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        shape = np.shape(self.values)
        if len(shape) != 2 or shape[0] != len(self.names) or not shape[1]:
            raise InputError(f"{len(self.names):,} names and values of shape {shape}", where=self.source)
        if len(set(self.names)) < len(self.names):
            raise InputError("Names occur more than once", where=self.source, fix="Keep one row for each.")
        if not np.isfinite(self.values).all():
            raise InputError("Values are NaN or infinite", where=self.source, fix="Make the embedding again.")

    def find(self, names: Sequence[str]) -> np.ndarray:
        """The row of each name; -1 for one that has none (names, int64)."""
        place = {name: row for row, name in enumerate(self.names)}
        return np.array([place.get(name, -1) for name in names], dtype=np.int64)

    def places(self, names: Sequence[str], *, allow_missing: bool = False) -> np.ndarray:
        """As :meth:`find`.

        Raises:
            InputError: some names have no row and that is not allowed, or none has.
        """
        rows = self.find(names)
        absent = [name for name, row in zip(names, rows, strict=True) if row < 0]
        if len(absent) == len(rows) or (absent and not allow_missing):
            raise InputError(
                f"{len(absent):,} of {len(rows):,} names have no row: {some(absent)}",
                where=self.source,
                fix=f"Rows are named like {some(self.names[:3])}. "
                "Set allow_missing to go on with the names that match; it takes at least one.",
            )
        return rows


def read_embedding(path: str | Path) -> Embedding:
    """Read an embedding.

    Args:
        path: ``.npz`` with the arrays ``names`` and ``values``, and ``about`` (JSON) where it says what they were made
            of; or ``.h5ad`` with rows named in obs and values in X.

    Raises:
        InputError: there is no such file, or it holds something else.
        IntegrityError: an h5ad file is damaged.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError("No such embedding", where=path, fix="Give the path of an npz or h5ad file.")
    try:
        names, values, about = _read_h5ad(path) if path.suffix == ".h5ad" else _read_npz(path)
    except PerturbenchError:
        raise
    except (OSError, EOFError, TypeError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise InputError(f"Not an embedding: {error}", where=path, fix="It needs names and values.") from error
    return Embedding(tuple(str(name) for name in names), np.asarray(values, dtype=np.float64), str(path), about)


def write_embedding(path: str | Path, embedding: Embedding) -> Path:
    """Write an embedding as ``.npz``; the same one as the same bytes."""
    about = np.array(json.dumps(dict(embedding.about), sort_keys=True))
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        np.savez(file, names=np.array(embedding.names, dtype=np.str_), values=embedding.values, about=about)
    return Path(path)


def _read_npz(path: Path) -> tuple[np.ndarray, np.ndarray, dict[str, str]]:
    with np.load(path, allow_pickle=False) as file:
        return file["names"], file["values"], json.loads(str(file["about"])) if "about" in file else {}


def _read_h5ad(path: Path) -> tuple[np.ndarray, np.ndarray, dict[str, str]]:
    with AnnDataFile(path) as file:
        values = file.matrix("X").whole()
        return file.obs_table.names.to_numpy(), values.toarray() if sparse.issparse(values) else values, {}
