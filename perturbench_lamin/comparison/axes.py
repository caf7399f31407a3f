"""The cells and the genes of two files: which are shared, which only one has, and what explains those."""

from __future__ import annotations

from typing import Any

import numpy as np

from perturbench_lamin.comparison.explain import explain, sentence, told
from perturbench_lamin.comparison.matching import Match
from perturbench_lamin.comparison.result import Part
from perturbench_lamin.comparison.settings import CompareConfig
from perturbench_lamin.errors import some
from perturbench_lamin.storage.tables import Table


def cells_part(a: Table, b: Table, match: Match, config: CompareConfig) -> Part:
    """The cells of two files."""
    return _axis("cells", "cell", a, b, match, config)


def genes_part(a: Table, b: Table, match: Match, config: CompareConfig) -> Part:
    """The genes of two files."""
    return _axis("genes", "gene", a, b, match, config)


def _axis(name: str, one: str, a: Table, b: Table, match: Match, config: CompareConfig) -> Part:
    senses = [] if match.how == "name" or not len(match.a) else [f"{one} names ({_how(match, a, b)})"]
    if len(match.a) and not match.in_order:
        senses.append(f"{one} order")
    differences, notes, details = [], [], _numbers(a, b, match)
    if not len(match.a) and (len(a) or len(b)):
        differences.append(f"No {one} in common: A has {some(a.names, 2)}; B has {some(b.names, 2)}")
    for side, table, only in (("A", a, match.only_a), ("B", b, match.only_b)):
        if not len(only):
            continue
        names = [str(label) for label in table.names[only[: config.examples]]]
        if len(match.a):
            differences.append(f"{len(only):,} of {len(table):,} {name} only in {side}: first {', '.join(names[:3])}")
        found = _explained(table, only, config) if len(match.a) else []
        details[f"first_only_{side.lower()}"], details[f"explanations_{side.lower()}"] = names, told(found)
        if found:
            notes.append(f"Of the {name} only in {side}: {sentence(found, 'them')}")
    if match.ambiguous:
        notes.append(f"{match.ambiguous:,} {name} have the content of another one; they were paired in order")
    return Part(name, tuple(senses), tuple(differences), tuple(notes), details)


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
