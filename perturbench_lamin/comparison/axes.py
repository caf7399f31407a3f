"""The cells and the genes of two files: which are shared, which only one has, and what explains those."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from perturbench_lamin.comparison import dropped
from perturbench_lamin.comparison.dropped import count_groups, in_words
from perturbench_lamin.comparison.explain import explain, sentence, told
from perturbench_lamin.comparison.file_pair import FilePair
from perturbench_lamin.comparison.matching import Match
from perturbench_lamin.comparison.result import Part
from perturbench_lamin.comparison.settings import CompareConfig
from perturbench_lamin.errors import some
from perturbench_lamin.storage.tables import Table


def axis_part(name: str, a: Table, b: Table, match: Match, pair: FilePair) -> Part:
    """The cells (or the genes) of two files.

    Args:
        name: ``cells`` or ``genes``.
        a: the table of them in the first file.
        b: in the second.
        match: which belong together.
        pair: the files.
    """
    one, config = name.removesuffix("s"), pair.config
    senses = [] if match.how == "name" or not len(match.a) else [f"{one} names ({_how(match, a, b)})"]
    if len(match.a) and not match.in_order:
        senses.append(f"{one} order")
    differences, notes, details = [], [], _numbers(a, b, match)
    if not len(match.a) and (len(a) or len(b)):
        differences.append(f"No {one} in common: A has {some(a.names, 2)}; B has {some(b.names, 2)}")
    for side, file, table, only in (("A", pair.a, a, match.only_a), ("B", pair.b, b, match.only_b)):
        if not len(only):
            continue
        names = [str(label) for label in table.names[only[: config.examples]]]
        if len(match.a):
            groups = count_groups(file, only) if name == "cells" else pd.DataFrame()
            which = in_words(groups, config.examples) if len(groups) else f"first {', '.join(names[:3])}"
            differences.append(
                f"{len(only):,} of {len(table):,} {name} only in {side}{',' if len(groups) else ':'} {which}"
            )
            details[f"groups_{side.lower()}"] = dropped.told(groups)
        found = _explained(table, only, config) if len(match.a) else []
        details[f"first_only_{side.lower()}"], details[f"explanations_{side.lower()}"] = names, told(found)
        if found:
            notes.append(f"Of the {name} only in {side}: {sentence(found, 'them')}")
    if match.ambiguous:
        notes.append(f"{match.ambiguous:,} {name} have the content of another one; they were paired in order")
    return Part(name, tuple(senses), tuple(differences), tuple(notes), details, _untold(name, match))


def _untold(name: str, match: Match) -> tuple[str, ...]:
    if not match.untold:
        return ()
    twice = some(dict.fromkeys(match.untold), 3)
    return (f"{len(match.untold):,} {name} that share a name, come in another order and are not told apart: {twice}",)


def _explained(table: Table, only: np.ndarray, config: CompareConfig) -> list[Any]:
    chosen = np.zeros(len(table), dtype=bool)
    chosen[only] = True
    return explain(table, np.arange(len(table)), chosen, config.examples)


def _numbers(a: Table, b: Table, match: Match) -> dict[str, Any]:
    return {
        "a": len(a),
        "b": len(b),
        "shared": len(match.a),
        "only_a": len(match.only_a),
        "only_b": len(match.only_b),
        "matched_by": match.how,
        "in_order": match.in_order,
    }


def _how(match: Match, a: Table, b: Table) -> str:
    first = f"{a.names[match.a[0]]} = {b.names[match.b[0]]}"
    return f"matched by {match.how}, such as {first}"
