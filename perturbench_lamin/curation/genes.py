"""Gene identifiers: Ensembl ids to symbols, exactly, with a record of what was dropped and why."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd

from perturbench_lamin.errors import InputError
from perturbench_lamin.storage.csv_file import read_csv

COLUMNS = ("ensembl_id", "symbol", "version", "length", "biotype")

FORMS = (
    ("ensembl_id", r"ENS[A-Z]*\d+|LRG_\d+", "Give ids such as ENSG00000141510, without version; no header line."),
    ("symbol", r"|\S(.*\S)?", "Remove the spaces around it."),
    ("version", r"\d*", "Give a whole number, or nothing."),
    ("length", r"\d*", "Give a whole number, or nothing."),
)
"""Column, what its text is like, what to do about other text."""


@dataclass(frozen=True)
class GeneTable:
    """A frozen annotation, so that a mapping does not depend on the day it was made.

    Attributes:
        table: ``ensembl_id, symbol, version, length, biotype``, one row a gene.
    """

    table: pd.DataFrame

    @classmethod
    def read(cls, path: str | Path) -> GeneTable:
        """Read a CSV (compressed or not) without a header: Ensembl id, symbol, version, length, biotype.

        Raises:
            InputError: no such file, other columns, or a line that is no gene: a header, no id, an id with a version or
                of another kind, an id twice, a version or length that is no whole number; the message names the line.
            IntegrityError: its compression is damaged.
        """
        # A gene may be called NA or nan: no text is read as a missing value.
        file = read_csv(path, width=len(COLUMNS), has_header=False)
        table = file.table.set_axis(pd.Index(COLUMNS, dtype=object), axis=1)
        if table.empty:
            raise InputError("No genes", where=path, fix=f"Columns, without a header: {', '.join(COLUMNS)}.")
        for column, form, fix in FORMS:
            wrong = ~table[column].str.fullmatch(form)
            if wrong.any():
                raise InputError(
                    f"The {column} {table[column][wrong].iloc[0]!r} is none", where=file.first(wrong), fix=fix
                )
        twice = table["ensembl_id"].duplicated()
        if twice.any():
            raise InputError(
                "An Ensembl id occurs twice",
                where=file.first(twice),
                fix=f"First: {table['ensembl_id'][twice].iloc[0]}.",
            )
        return cls(table)

    def symbols(self, ensembl_ids: Iterable[str]) -> pd.Series:
        """The symbol of each Ensembl id (versions are ignored).

        Missing where the id is unknown, or where the annotation has no symbol or repeats an Ensembl id as one.
        """
        ids = strip_version(ensembl_ids)
        named = self.table[~self.table["symbol"].isin(["", *self.table["ensembl_id"]])]
        symbol_of = dict(zip(named["ensembl_id"], named["symbol"], strict=True))
        return pd.Series([symbol_of.get(name) for name in ids], index=ids, name="symbol")


@dataclass(frozen=True)
class GeneSelection:
    """Which genes of a deposit are kept under which symbol.

    Attributes:
        positions: (kept,) their columns in the deposit, in its order.
        symbols: (kept,) their symbols, unique.
        record: ``step, genes``: how many genes are left after each step.
    """

    positions: np.ndarray
    symbols: pd.Index
    record: pd.DataFrame


def strip_version(ensembl_ids: Iterable[str]) -> pd.Index:
    """Ensembl ids without their version: ``ENSG00000141510.18`` becomes ``ENSG00000141510``.

    Only what follows the dot of an id like this is cut; ``RP11-34P13.7`` is a name and stays.
    """
    return pd.Index(
        pd.Series(list(ensembl_ids), dtype=object).str.replace(r"^(ENS[A-Z]*\d+)\.\d+(?:_PAR_Y)?$", r"\1", regex=True)
    )


def select_symbols(symbols: Iterable[object], *, repeats: Literal["first", "none"] = "first") -> GeneSelection:
    """Keep the genes that have a symbol, and each symbol once.

    A symbol is missing where it is None, NaN or the empty text, exactly; a gene whose name contains ``nan``,
    such as ``NANOG``'s alias ``nanog``, is not.

    Args:
        symbols: each gene's symbol, missing where it has none.
        repeats: of genes that share a symbol, keep the ``"first"`` or ``"none"``.
    """
    series = pd.Series(list(symbols), dtype=object)
    named = series[series.notna() & (series != "")]
    kept = named[~named.duplicated(keep="first" if repeats == "first" else False)]
    steps = [("all", len(series)), ("with a symbol", len(named)), ("each symbol once", len(kept))]
    record = pd.DataFrame(steps, columns=["step", "genes"])
    return GeneSelection(kept.index.to_numpy(), pd.Index(kept.astype(str)), record)


def make_unique(names: Iterable[str]) -> pd.Index:
    """Names with ``-1``, ``-2``, … after those that occurred before, as :mod:`anndata` does it."""
    from anndata.utils import make_index_unique

    return make_index_unique(pd.Index(list(names), dtype=object))
