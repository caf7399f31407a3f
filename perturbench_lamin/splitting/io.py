"""The split file: two columns without a header, cell and split; the split is empty where a cell is excluded."""

from __future__ import annotations

import csv
import gzip
import io
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

import pandas as pd

from perturbench_lamin.contracts import SPLIT_NAMES
from perturbench_lamin.errors import InputError, nearest, some
from perturbench_lamin.files import atomic_path
from perturbench_lamin.storage.csv_file import read_csv

EXCLUDED = ("", "none", "None")
"""How deposited files spell a cell that belongs to no split; ours leave the field empty."""

Place = str | Callable[[Any], str]
"""A place, or what finds the first of some faulty rows."""


def write_split(split: pd.Series, path: str | Path) -> Path:
    """Write a split, cells in the order of ``split``; compressed where the name ends in ``.gz``.

    Args:
        split: (cells,) "train", "val", "test" or "", indexed by cell name.
        path: the file to write, atomically; the same split gives the same bytes.

    Returns:
        ``path``.

    Raises:
        InputError: a value is none of these, or a cell name occurs twice.
    """
    _require_values(split, where="split")
    _require_unique(split.index, where="split")
    with atomic_path(path) as temporary, _create(temporary) as stream:
        csv.writer(stream, lineterminator="\n").writerows(zip(split.index, split.to_numpy(), strict=True))
    return Path(path)


def read_split(path: str | Path, obs_names: Iterable[str]) -> pd.Series:
    """Read a split and lay it beside the data.

    Args:
        path: the split file; ``none``, ``None`` and an empty field mean excluded.
        obs_names: the data's cell names.

    Returns:
        (cells,) "train", "val", "test" or "", in the order of ``obs_names``.

    Raises:
        InputError: the file has a header line, an unknown value or a repeated cell, or it and the data do
            not have the same cells.
        IntegrityError: its compression is damaged.
    """
    path, names = Path(path), pd.Index(obs_names)
    _require_unique(names, where="obs_names")
    if not path.is_file():
        raise InputError("No such file", where=path, fix="Make it with `perturbench-lamin split`.")
    file = read_csv(path, width=2, has_header=False)
    split = pd.Series(file.table[1].to_numpy(), index=pd.Index(file.table[0], dtype=object), name="split", dtype=object)
    split = split.mask(split.isin(EXCLUDED), "")
    _require_no_header(split, names, path)
    _require_values(split, where=file.first)
    _require_unique(split.index, where=file.first)
    _require_same_cells(split.index, names, path)
    return split.reindex(names)


@contextmanager
def _create(path: Path) -> Iterator[TextIO]:
    if path.suffix != ".gz":
        with path.open("w", encoding="utf-8", newline="") as stream:
            yield stream
        return
    # Neither name nor time in the header: the same split gives the same bytes.
    with (
        path.open("wb") as file,
        gzip.GzipFile("", "wb", fileobj=file, mtime=0) as packed,
        io.TextIOWrapper(packed, encoding="utf-8", newline="") as stream,
    ):
        yield stream


def _require_no_header(split: pd.Series, names: pd.Index, path: str | Path) -> None:
    if len(split) and split.iloc[0] not in (*SPLIT_NAMES, "") and split.index[0] not in names:
        raise InputError(
            f"The first line is a header: {split.index[0]!r}, {split.iloc[0]!r}",
            where=path,
            fix="Remove it: a split file has no header, so that its first line is a cell.",
        )


def _require_values(split: pd.Series, *, where: Place) -> None:
    faulty = ~split.isin((*SPLIT_NAMES, ""))
    wrong = split[faulty]
    if len(wrong):
        raise InputError(
            f"{len(wrong):,} cells have an unknown split, such as {wrong.iloc[0]!r} for {wrong.index[0]!r}",
            where=where(faulty) if callable(where) else where,
            fix=nearest(str(wrong.iloc[0]), SPLIT_NAMES) + " Leave the field empty to exclude a cell.",
        )


def _require_unique(names: pd.Index, *, where: Place) -> None:
    if not names.is_unique:
        faulty = names.duplicated()
        twice = names[faulty].unique()
        raise InputError(
            f"{len(twice):,} cell names occur more than once",
            where=where(faulty) if callable(where) else where,
            fix=f"Make them unique: {some(map(repr, twice), 3)}.",
        )


def _require_same_cells(listed: pd.Index, names: pd.Index, path: str | Path) -> None:
    for what, cells, fix in (
        ("the split file, but not in the data", listed.difference(names, sort=False), "Is it another dataset's file?"),
        ("the data, but not in the split file", names.difference(listed, sort=False), "Give them an empty split."),
    ):
        if len(cells):
            first = some(map(repr, cells), 3)
            raise InputError(f"{len(cells):,} cells are in {what}", where=path, fix=f"{fix} First: {first}.")
