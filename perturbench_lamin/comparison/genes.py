"""Which genes of one file are which of the other: by index, or by any columns of var that name the same genes."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pandas as pd

from perturbench_lamin.comparison.matching import Match, match_index, match_names, shared_columns
from perturbench_lamin.storage.tables import Table

INDEX = "index"
ENOUGH = 0.5
"""Share of the smaller file's genes that must be found by index before columns of var are tried."""


def match_genes(a: Table, b: Table) -> Match:
    """Pair the genes of two files: by index, or by the two columns (the index among them) that pair most.

    An Ensembl identifier's version (``ENSG00000141510.18``) is left out where it is in the way. A symbol that occurs
    more than once is paired in order, or by a column of var that tells its genes apart (see
    :func:`perturbench_lamin.comparison.matching.match_index`).

    Args:
        a: the table of genes of the first file.
        b: of the second.
    """
    best = match_index(a.names, b.names, lambda: shared_columns(a, b))
    if len(best.a) < ENOUGH * min(len(a), len(b)):
        keys_b = list(_keys(b))
        found = [
            match_names(left, right, f"{one} of A, {other} of B")
            for one, left in _keys(a)
            for other, right in keys_b
            if (one, other) != (INDEX, INDEX)
        ]
        best = max([best, *found], key=lambda match: len(match.a))
    return best


def _keys(table: Table) -> Iterator[tuple[str, pd.Index]]:
    """The index and each column of text that could name genes, without versions."""
    yield INDEX, without_version(table.names)
    for name, values in table.items():
        if not pd.api.types.is_numeric_dtype(values) and values.nunique() > len(values) / 2:
            yield name, without_version(pd.Index(values.astype(object).where(values.notna(), "")).map(str))


def without_version(names: pd.Index) -> pd.Index:
    """Ensembl identifiers without their version; other names as they are."""
    return pd.Index([re.sub(r"^(ENS[A-Z]*G\d+)\.\d+$", r"\1", name) for name in names], dtype=object)
