"""Embeddings of genes or perturbations in a file: named rows of numbers, made on another dataset."""

from __future__ import annotations

import json
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from scipy import sparse

from perturbench_lamin.errors import InputError, PerturbenchError, some
from perturbench_lamin.files import atomic_path
from perturbench_lamin.storage.anndata_file import AnnDataFile
from perturbench_lamin.storage.compressed import require_bounded


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
    except (OSError, EOFError, LookupError, MemoryError, RuntimeError, SyntaxError, TypeError, ValueError) as error:
        raise _none(path, f"{type(error).__name__}: {next(iter(str(error).splitlines()), '')}") from error
    except (zipfile.BadZipFile, zlib.error) as error:
        raise _none(path, str(error)) from error
    return Embedding(names, values, str(path), about)


def _none(path: Path, reason: str) -> InputError:
    return InputError(f"Not an embedding: {reason}", where=path, fix="It needs names and values; make it again.")


def write_embedding(path: str | Path, embedding: Embedding) -> Path:
    """Write an embedding as ``.npz``; the same one as the same bytes."""
    about = np.array(json.dumps(dict(embedding.about), sort_keys=True))
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        np.savez(file, names=np.array(embedding.names, dtype=np.str_), values=embedding.values, about=about)
    return Path(path)


def _read_npz(path: Path) -> tuple[tuple[str, ...], np.ndarray, dict[str, str]]:
    with zipfile.ZipFile(path) as archive:
        require_bounded(sum(part.file_size for part in archive.infolist()), path.stat().st_size, path)
        damaged = archive.testzip()  # numpy itself reads as far as the array's own header says
        names_of_parts = archive.namelist()
    if damaged or len(set(names_of_parts)) < len(names_of_parts):
        raise _none(path, f"{damaged or 'a part that is there twice'} is damaged")
    with np.load(path, allow_pickle=False) as file:
        about = json.loads(str(file["about"])) if "about" in file else {}
        return _names(file["names"], path), _numbers(file["values"], path), _words(about, path)


def _names(names: np.ndarray, path: Path) -> tuple[str, ...]:
    if names.ndim != 1 or names.dtype.kind != "U":
        raise _none(path, f"names are of shape {names.shape} and type {names.dtype}, not one row of text")
    return tuple(str(name) for name in names)


def _numbers(values: np.ndarray, path: Path) -> np.ndarray:
    if values.dtype.kind not in "fiu":
        raise _none(path, f"values are of type {values.dtype}")
    return values.astype(np.float64)


def _words(about: object, path: Path) -> dict[str, str]:
    if not isinstance(about, dict) or not all(isinstance(word, str) for word in about.values()):
        raise _none(path, "what it says of itself is no table of words")
    return about


def _read_h5ad(path: Path) -> tuple[tuple[str, ...], np.ndarray, dict[str, str]]:
    with AnnDataFile(path) as file:
        values = file.matrix("X").whole()
        dense = values.toarray() if sparse.issparse(values) else values
        return tuple(map(str, file.obs_table.names)), _numbers(dense, path), {}
