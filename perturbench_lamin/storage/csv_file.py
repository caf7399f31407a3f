"""The gate of all text tables: every line has the same fields, every field is text, and errors name the line.

pandas alone fills a short line with missing values, renames a repeated column and skips blank lines, in silence.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd

from perturbench_lamin.errors import InputError, some
from perturbench_lamin.storage.compressed import SUFFIXES, read_bytes

QUOTE, NEWLINE, RETURN = (ord(character) for character in '"\n\r')
NO_NUMBERS: Mapping[str, Collection[str]] = MappingProxyType({})
SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs"}


@dataclass(frozen=True)
class CsvFile:
    """A text table.

    Attributes:
        path: the file.
        table: rows × columns, text; an empty field is "" or, where asked for, NaN.
        text: the table as text, without what follows the last row.
        separator: of its fields.
        has_header: whether the first line names the columns.
    """

    path: Path
    table: pd.DataFrame
    text: bytes
    separator: str
    has_header: bool

    def place(self, row: int) -> str:
        """Where a row stands, for an error's ``where``.

        Args:
            row: its place in ``table``, from 0.
        """
        return f"{self.path}, line {self._lines[row + self.has_header]}"

    def first(self, faulty: pd.Series | np.ndarray) -> str:
        """Where the first faulty row stands.

        Args:
            faulty: (rows,) whether each is; one at least.
        """
        return self.place(int(np.flatnonzero(np.asarray(faulty))[0]))

    @cached_property
    def _lines(self) -> list[int]:
        return [line for line, _ in _numbered(self.text, self.separator)]


def read_csv(
    path: str | Path,
    *,
    width: int | None = None,
    has_header: bool = True,
    empty_is_missing: bool = False,
    numbers: Mapping[str, Collection[str]] = NO_NUMBERS,
) -> CsvFile:
    """Read a CSV file, or, where the name ends in ``.tsv``, one separated by tabs; compressed or not.

    UTF-8, with or without a byte order mark. Blank lines at the end, as editors leave them, say nothing.

    Args:
        path: the file.
        width: how many columns it must have; None for those of the first line.
        has_header: whether the first line names the columns; otherwise they are numbered from 0.
        empty_is_missing: read an empty field as NaN.
        numbers: columns to read as float64, exactly, where all their fields are plain numbers; else they stay text.
            To each how it spells NaN, besides an empty field.

    Raises:
        InputError: it is not such text, a line has more or fewer fields than the first, or the header has a
            name twice or (but for the first column's) none.
        IntegrityError: its compression is damaged.
    """
    path = Path(path)
    text, separator = _text(path), "\t" if _without_compression(path).endswith(".tsv") else ","
    if not text:
        if has_header:
            raise InputError("The table is empty", where=path, fix="Give a header line and rows.")
        return CsvFile(path, pd.DataFrame(columns=range(width or 0), dtype=object), text, separator, has_header)
    fields, records = _shape(text, separator, width, path)
    names = _header(text, separator, path) if has_header else list(range(fields))
    missing = [""] if empty_is_missing else []
    table = _parsed(text, separator, names, dict.fromkeys(names, missing), numbers, has_header, path)
    if table.shape != (records - has_header, fields):
        raise InputError("Not readable as CSV: its quotes contradict its lines", where=path, fix="Write it anew.")
    return CsvFile(path, table, text, separator, has_header)


def _parsed(
    text: bytes,
    separator: str,
    names: list[Any],
    missing: dict[Any, list[str]],
    numbers: Mapping[str, Collection[str]],
    has_header: bool,
    path: Path,
) -> pd.DataFrame:
    """The table, checked before; a column of ``numbers`` with something else in it makes all of them text."""
    spelled = {name: ["", *numbers[name]] if name in numbers else words for name, words in missing.items()}
    try:
        return pd.read_csv(
            io.BytesIO(text),
            sep=separator,
            header=0 if has_header else None,
            names=names,
            index_col=False,
            dtype={name: np.float64 if name in numbers else str for name in names},
            float_precision="round_trip",
            keep_default_na=False,
            na_values=spelled,
            na_filter=any(spelled.values()),
            skip_blank_lines=False,
        )
    except ValueError as error:  # of pandas too
        if numbers:
            return _parsed(text, separator, names, missing, NO_NUMBERS, has_header, path)
        raise InputError(f"Not readable as CSV ({error})", where=path, fix="Write it anew.") from error


def require_columns(file: CsvFile, wanted: tuple[str, ...]) -> None:
    """Check that a table has some columns.

    Raises:
        InputError: it lacks one; where it was read as one column, the message says so, and what separates it.
    """
    lacking = [name for name in wanted if name not in file.table.columns]
    if lacking:
        raise InputError(
            f"No column {some(map(repr, lacking))}",
            where=file.path,
            fix=one_column(file) or f"Its columns: {some(map(repr, file.table.columns))}.",
        )


def one_column(file: CsvFile) -> str | None:
    """What to do about a table that was read as one column; None where it has more."""
    if file.table.shape[1] > 1:
        return None
    seen = _other_separator(file.text.split(b"\n", 1)[0].decode(), file.separator)
    guess = f" It seems to be separated by {seen}." if seen else ""
    return (
        f"It was read as one column, {file.table.columns[0]!r}, separated by {SEPARATORS[file.separator]}.{guess} "
        "Give commas, or tabs in a file named .tsv."
    )


def _without_compression(path: Path) -> str:
    return path.stem if path.suffix in SUFFIXES else path.name


def _text(path: Path) -> bytes:
    content = read_bytes(path).removeprefix(b"\xef\xbb\xbf").rstrip(b"\r\n")
    at = content.find(b"\0")
    problem = "a NUL byte" if at >= 0 else ""
    if not problem:
        try:
            content.isascii() or content.decode()
        except UnicodeDecodeError as error:
            at, problem = error.start, f"the byte {content[error.start]:#04x}, which is not UTF-8"
    if problem:
        raise InputError(
            f"Not readable as CSV: it has {problem}",
            where=f"{path}, line {content.count(NEWLINE, 0, at) + 1}",
            fix="Give text in UTF-8; the file may be damaged, or of another kind.",
        )
    return content


def _shape(text: bytes, separator: str, width: int | None, path: Path) -> tuple[int, int]:
    """The fields of every line, and how many lines there are."""
    counts = _field_counts(text, separator)
    if counts is not None and counts[0] > 1 and (counts == (width or counts[0])).all():
        return int(counts[0]), len(counts)
    return _exact_shape(text, separator, width, path)


def _field_counts(text: bytes, separator: str) -> np.ndarray | None:
    """The fields of each line, found at once; None where line ends or quotes want the exact reader."""
    returns = text.count(b"\r")
    if returns and returns != text.count(b"\r\n"):
        return None
    characters = np.frombuffer(text, dtype=np.uint8)
    ends, separators = characters == NEWLINE, characters == ord(separator)
    if QUOTE in text:
        quotes = characters == QUOTE
        inside = np.logical_xor.accumulate(quotes)
        if inside[-1] or not _quotes_stand_at_ends(quotes, inside, ends | separators | (characters == RETURN)):
            return None
        ends &= ~inside
        separators &= ~inside
    stops = np.append(np.flatnonzero(ends), len(text))
    return np.diff(np.searchsorted(np.flatnonzero(separators), stops), prepend=0) + 1


def _quotes_stand_at_ends(quotes: np.ndarray, inside: np.ndarray, bounds: np.ndarray) -> bool:
    """Whether quotes open at the beginning of a field and close at its end, but for doubled ones."""
    around = np.concatenate([[True], bounds | quotes, [True]])
    opening, closing = np.flatnonzero(quotes & inside), np.flatnonzero(quotes & ~inside)
    return bool(around[opening].all() and around[closing + 2].all())


def _exact_shape(text: bytes, separator: str, width: int | None, path: Path) -> tuple[int, int]:
    line, records = 0, 0
    first: list[str] = []
    try:
        for line, row in _numbered(text, separator):
            first = first or row
            width = width or len(first)
            if len(row) != width or not row:
                raise InputError(
                    f"{len(row)} columns instead of {width}",
                    where=f"{path}, line {line}",
                    fix=_advice(row, first, width, separator),
                )
            records += 1
    except csv.Error as error:
        raise InputError(
            f"Not readable as CSV ({error})", where=f"{path}, line {line + 1} or below", fix="Close every quote."
        ) from error
    return int(width or 0), records


def _advice(row: list[str], first: list[str], width: int, separator: str) -> str:
    if not row:
        return "Remove the blank line."
    wanted, other = SEPARATORS[separator], _other_separator(first[0], separator) if len(first) == 1 else None
    if other:
        return f"It seems to be separated by {other}: give {wanted}."
    header = " A header must name the column of row names too, if only by a leading comma." if len(row) > width else ""
    return f"Every line needs as many fields, separated by {wanted}; quote text that contains them.{header}"


def _other_separator(text: str, separator: str) -> str | None:
    return next((name for mark, name in SEPARATORS.items() if mark != separator and mark in text), None)


def _numbered(text: bytes, separator: str) -> Iterator[tuple[int, list[str]]]:
    """Each record, and the line it begins in."""
    reader = csv.reader(io.StringIO(text.decode(), newline=""), delimiter=separator, strict=True)
    line = 1
    for row in reader:
        yield line, row
        line = reader.line_num + 1


def _header(text: bytes, separator: str, path: Path) -> list[str]:
    first = text.split(b"\n", 1)[0]
    _, names = next(_numbered(text if b'"' in first else first, separator))
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise InputError(
            f"The header has {some(map(repr, twice))} more than once",
            where=f"{path}, line 1",
            fix="Give every column a name of its own.",
        )
    if "" in names[1:]:
        raise InputError(
            f"Column {names.index('', 1) + 1} has no name", where=f"{path}, line 1", fix="Name or remove it."
        )
    return names
