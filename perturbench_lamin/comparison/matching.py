"""Which cells of one file are which of the other: by name, by name without its additions, or by content."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import chain

import numpy as np
import pandas as pd

from perturbench_lamin.comparison.cell_names import CHANGES
from perturbench_lamin.comparison.columns import MISSING
from perturbench_lamin.comparison.fingerprints import fingerprints
from perturbench_lamin.comparison.settings import CompareConfig
from perturbench_lamin.curation.source import CountSource
from perturbench_lamin.errors import InputError
from perturbench_lamin.storage.tables import Table

ENOUGH = 0.5
"""Share of the smaller file's cells that must be found by name before other ways are tried."""

LOOK = 256
"""Cells whose content is looked at where names are mere numbers."""


@dataclass(frozen=True)
class Match:
    """Rows (or columns) of a and b that belong together.

    Attributes:
        a: positions in a, ascending.
        b: positions in b, one for each of ``a``.
        only_a: positions in a without a partner.
        only_b: positions in b without a partner.
        how: ``name``, or how names were changed, or which columns were used, or ``content``.
        ambiguous: pairs that could as well have been paired otherwise, since their content is the same.
        untold: names that occur more than once, in another order, and that nothing tells apart; one for each pair
            that was not made. Their positions are neither paired nor in ``only_a`` and ``only_b``.
    """

    a: np.ndarray
    b: np.ndarray
    only_a: np.ndarray
    only_b: np.ndarray
    how: str
    ambiguous: int = 0
    untold: tuple[str, ...] = ()

    @property
    def in_order(self) -> bool:
        """Whether b's come in the order of a's."""
        return bool((np.diff(self.b) > 0).all())


Keys = tuple[str, pd.Series, pd.Series]
"""What may tell positions of one name apart: its name, its values in a, its values in b."""

Contents = Callable[[], tuple[CountSource, CountSource] | None]


def match_cells(
    a: pd.Index,
    b: pd.Index,
    config: CompareConfig,
    contents: Contents,
    columns: Callable[[], Iterator[Keys]] = lambda: iter(()),
) -> Match:
    """Pair the cells of two files.

    Args:
        a: cell names.
        b: cell names.
        config: says by what to match.
        contents: gives the counts of both on the common genes, in the same order, or None where there are none;
            called only when names do not do.
        columns: gives what may tell cells of one name apart; asked only where names that occur more than once come
            in another order.

    Raises:
        InputError: matching is by content and there is none.
    """
    if config.cells == "content":
        return _by_content(contents())
    best = match_index(a, b, columns)
    if best.untold and config.cells == "auto":
        best = match_index(a, b, lambda: chain(columns(), _digests(contents())))
    enough = ENOUGH * min(len(a), len(b))
    if len(best.a) < enough:
        best = max([best, *_changed(a, b)], key=lambda match: len(match.a))
    if config.cells == "name":
        return best
    return _checked(best, enough, contents) if _doubtful(a, b, best, enough) else best


def match_names(a: pd.Index, b: pd.Index, how: str) -> Match:
    """Pair equal names; names that occur twice in a or in b have no partner."""
    single_b = pd.Series(np.arange(len(b)), index=b)[~b.duplicated(keep=False)]
    found = pd.Series(single_b.index.get_indexer(a), dtype=np.int64).to_numpy(copy=True)
    found[a.duplicated(keep=False)] = -1
    chosen = np.flatnonzero(found >= 0)
    return make_match(chosen, single_b.to_numpy()[found[chosen]], len(a), len(b), how)


def make_match(a: np.ndarray, b: np.ndarray, n_a: int, n_b: int, how: str, ambiguous: int = 0) -> Match:
    """A match from its pairs, with what is left over."""
    order = np.argsort(a, kind="stable")
    a, b = a[order], b[order]
    return Match(a, b, np.setdiff1d(np.arange(n_a), a), np.setdiff1d(np.arange(n_b), b), how, ambiguous)


def match_index(a: pd.Index, b: pd.Index, columns: Callable[[], Iterator[Keys]] = lambda: iter(())) -> Match:
    """Pair equal names, of which some may occur more than once.

    Where the names that both have come in the same order, they are paired in that order. Else names that occur once
    are paired, and the others by the values of a column that tells them apart; what is left of a name is paired where
    it is one on each side, and is otherwise ``untold``.

    Args:
        a: names.
        b: names.
        columns: gives what may tell positions of one name apart.
    """
    if a.is_unique and b.is_unique:
        return match_names(a, b, "name")
    common = np.flatnonzero(a.isin(b)), np.flatnonzero(b.isin(a))
    if a[common[0]].equals(b[common[1]]):
        return make_match(*common, len(a), len(b), "name")
    return _apart(a, b, columns())


def _apart(a: pd.Index, b: pd.Index, columns: Iterator[Keys]) -> Match:
    """Names that occur more than once, told apart by the column that does so most often."""
    best = match_names(a, b, "name")
    for name, left, right in columns:
        found = match_names(_joined(a, left), _joined(b, right), f"name and {name}")
        if len(found.a) > len(best.a):
            best = found
    rest = _left_over(a, best.only_a), _left_over(b, best.only_b)
    both = rest[0].merge(rest[1], on=["name", "occurrence"], suffixes=("_a", "_b"))
    alone = ~both["name"].isin(_more_than_once(*rest))
    pairs, untold = both[alone], both[~alone]
    made = make_match(
        np.concatenate([best.a, pairs["row_a"]]).astype(np.int64),
        np.concatenate([best.b, pairs["row_b"]]).astype(np.int64),
        len(a),
        len(b),
        best.how,
    )
    return replace(
        made,
        only_a=np.setdiff1d(made.only_a, untold["row_a"]),
        only_b=np.setdiff1d(made.only_b, untold["row_b"]),
        untold=tuple(untold["name"]),
    )


def _joined(names: pd.Index, values: pd.Series) -> pd.Index:
    return pd.Index([*zip(names, values, strict=True)], tupleize_cols=False)


def _left_over(names: pd.Index, rows: np.ndarray) -> pd.DataFrame:
    table = pd.DataFrame({"name": names[rows], "row": rows})
    return table.assign(occurrence=table.groupby("name").cumcount())


def _more_than_once(*tables: pd.DataFrame) -> set[str]:
    return {name for table in tables for name in table.loc[table["occurrence"] > 0, "name"]}


def shared_columns(a: Table, b: Table) -> Iterator[Keys]:
    """The columns that both tables have, as text."""
    for name, values in a.items():
        if name in b.columns:
            yield name, _texts(values), _texts(b.column(name))


def _texts(values: pd.Series) -> pd.Series:
    return values.astype(object).where(values.notna(), MISSING).map(str)


def _digests(sources: tuple[CountSource, CountSource] | None) -> Iterator[Keys]:
    if sources is not None:
        left, right = (pd.Series(fingerprints(source)) for source in sources)
        yield "content", left, right


def _changed(a: pd.Index, b: pd.Index) -> Iterator[Match]:
    """Matches of names changed in one file, in the other, or in both; mildest changes first."""
    for how, change in CHANGES.items():
        short_a, short_b = change(a), change(b)
        for left, right, side in ((a, short_b, " in B"), (short_a, b, " in A"), (short_a, short_b, "")):
            yield match_names(left, right, f"name {how}{side}")


def _doubtful(a: pd.Index, b: pd.Index, best: Match, enough: float) -> bool:
    """Whether names say little: too few in common, or mere numbers."""
    return len(best.a) < max(enough, 1) or all(name.isdigit() for index in (a, b) for name in index[:LOOK])


def _checked(best: Match, enough: float, contents: Contents) -> Match:
    """The match by names, or by content where that pairs more cells, or where numbers name other cells."""
    sources = contents()
    if sources is None:
        return best
    if len(best.a) >= max(enough, 1) and _same_content(sources, best):
        return best
    found = _by_content(sources)
    wrong = len(best.a) >= max(enough, 1)
    return found if len(found.a) > (enough if wrong else len(best.a)) else best


def _same_content(sources: tuple[CountSource, CountSource], match: Match) -> bool:
    """Whether most of the first pairs have the same content."""
    left, right = (
        fingerprints(source.select_cells(rows[:LOOK])) for source, rows in zip(sources, (match.a, match.b), strict=True)
    )
    return bool((left == right).mean() >= ENOUGH)


def _by_content(sources: tuple[CountSource, CountSource] | None) -> Match:
    if sources is None:
        raise InputError(
            "Cells cannot be matched by content: the files have no gene in common",
            where="cells",
            fix="Match them by name.",
        )
    left, right = (_occurrences(fingerprints(source)) for source in sources)
    paired = left.merge(right, on=["digest", "occurrence"], suffixes=("_a", "_b"))
    shared = set(left.loc[left["occurrence"] > 0, "digest"]) | set(right.loc[right["occurrence"] > 0, "digest"])
    return make_match(
        paired["row_a"].to_numpy(),
        paired["row_b"].to_numpy(),
        len(left),
        len(right),
        "content",
        int(paired["digest"].isin(shared).sum()),
    )


def _occurrences(digests: np.ndarray) -> pd.DataFrame:
    table = pd.DataFrame({"digest": digests, "row": np.arange(len(digests))})
    return table.assign(occurrence=table.groupby("digest").cumcount())
