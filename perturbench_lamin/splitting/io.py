"""The split file: two columns without a header, cell and split; the split is empty where a cell is excluded."""

from __future__ import annotations

import csv
import gzip
import io
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

import pandas as pd

from perturbench_lamin.contracts import SPLIT_NAMES
from perturbench_lamin.errors import InputError, nearest, some
from perturbench_lamin.files import atomic_path

EXCLUDED = ("", "none", "None")
"""How deposited files spell a cell that belongs to no split; ours leave the field empty."""


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
    """
    names = pd.Index(obs_names)
    _require_unique(names, where="obs_names")
    rows = list(_rows(Path(path)))
    split = pd.Series([value for _, value in rows], index=[cell for cell, _ in rows], name="split", dtype=object)
    split = split.mask(split.isin(EXCLUDED), "")
    _require_no_header(split, names, path)
    _require_values(split, where=path)
    _require_unique(split.index, where=path)
    _require_same_cells(split.index, names, path)
    return split.reindex(names)


def _rows(path: Path) -> Iterator[tuple[str, str]]:
    if not path.is_file():
        raise InputError("No such file", where=path, fix="Make it with `perturbench-lamin split`.")
    line = 1
    try:
        with _open(path) as stream:
            reader = csv.reader(stream, strict=True)
            for row in reader:
                if len(row) != 2:
                    raise InputError(
                        f"{len(row)} columns instead of 2",
                        where=f"{path}, line {line}",
                        fix="Each line is a cell name, a comma and a split; quote names that contain commas.",
                    )
                yield row[0], row[1]
                line = reader.line_num + 1
    except (csv.Error, UnicodeDecodeError, OSError, EOFError) as error:
        raise InputError(f"Not readable as CSV ({error})", where=f"{path}, line {line}") from error


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


def _open(path: Path) -> TextIO:
    if path.suffix == ".gz":
        return gzip.open(path, "rt", encoding="utf-8-sig", newline="")
    return path.open(encoding="utf-8-sig", newline="")


def _require_no_header(split: pd.Series, names: pd.Index, path: str | Path) -> None:
    if len(split) and split.iloc[0] not in (*SPLIT_NAMES, "") and split.index[0] not in names:
        raise InputError(
            f"The first line is a header: {split.index[0]!r}, {split.iloc[0]!r}",
            where=path,
            fix="Remove it: a split file has no header, so that its first line is a cell.",
        )


def _require_values(split: pd.Series, *, where: object) -> None:
    wrong = split[~split.isin((*SPLIT_NAMES, ""))]
    if len(wrong):
        raise InputError(
            f"{len(wrong):,} cells have an unknown split, such as {wrong.iloc[0]!r} for {wrong.index[0]!r}",
            where=where,
            fix=nearest(str(wrong.iloc[0]), SPLIT_NAMES) + " Leave the field empty to exclude a cell.",
        )


def _require_unique(names: pd.Index, *, where: object) -> None:
    if not names.is_unique:
        twice = names[names.duplicated()].unique()
        raise InputError(
            f"{len(twice):,} cell names occur more than once", where=where, fix=f"Make them unique: {some(twice, 3)}."
        )


def _require_same_cells(listed: pd.Index, names: pd.Index, path: str | Path) -> None:
    for what, cells, fix in (
        ("the split file, but not in the data", listed.difference(names, sort=False), "Is it another dataset's file?"),
        ("the data, but not in the split file", names.difference(listed, sort=False), "Give them an empty split."),
    ):
        if len(cells):
            raise InputError(f"{len(cells):,} cells are in {what}", where=path, fix=f"{fix} First: {some(cells, 3)}.")
