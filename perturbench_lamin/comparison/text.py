"""A comparison as text for a terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from perturbench_lamin.comparison.result import Comparison, FileFacts, Part


def as_text(comparison: Comparison) -> str:
    """The verdict, a table of the parts, and what differs or explains it."""
    lines = [_file("A", comparison.a), _file("B", comparison.b), "", *_table(comparison), ""]
    for title, texts in (
        ("The same in this sense", comparison.senses),
        ("Differences", comparison.differences),
        ("Not compared", comparison.uncompared),
        ("Notes", tuple(f"{part.name}: {note}" for part in comparison.parts for note in part.notes)),
    ):
        if texts:
            lines += [f"{title}:", *(f"  - {text}" for text in texts), ""]
    return "\n".join([*lines, headline(comparison)])


def headline(comparison: Comparison) -> str:
    """The verdict in one line."""
    verdict = str(comparison.verdict)
    if comparison.differences:
        parts = ", ".join(part.name for part in comparison.parts if part.differences)
        return f"Verdict: {verdict} ({parts})"
    if comparison.uncompared:
        return f"Verdict: {verdict} (not compared: {'; '.join(comparison.uncompared)})"
    return f"Verdict: {verdict}" + (f" ({'; '.join(comparison.senses)})" if comparison.senses else "")


def summary(part: Part) -> str:
    """What was compared of a part, in a few words."""
    details = part.details
    for key, text in SUMMARIES.items():
        if key in details:
            return text(details) + (_sides(part) if key not in ("shared", "values") else "")
    inner = sum(isinstance(value, Mapping) for value in details.values())
    if inner:
        return f"{inner:,} compared{_sides(part)}"
    return "" if details.get("compared", True) else "not compared"


def _differ(several: Sequence[Mapping[str, Any]], what: str) -> str:
    return f"{len(several):,} {what} compared, {sum(one['unlike'] > 0 for one in several):,} differ"


SUMMARIES: Mapping[str, Callable[[Mapping[str, Any]], str]] = {
    "shared": lambda d: f"{d['shared']:,} shared, {d['only_a']:,} only in A, {d['only_b']:,} only in B",
    "values": lambda d: f"{d['values']:,} values, {d['unlike_values']:,} differ",
    "columns": lambda d: _differ(d["columns"], "columns"),
    "splits": lambda d: _differ(d["splits"], "splits"),
    "common": lambda d: f"{d['common']:,} common entries",
    "others": lambda d: f"{d['others']:,} compared",
    "bytes": lambda d: "the same in both files",
}
"""The words for what a part's details hold, by the first of these keys that they have."""


def _sides(part: Part) -> str:
    if "only_a" not in part.details:
        return ""
    return f", {len(part.details['only_a']):,} only in A, {len(part.details['only_b']):,} only in B"


def _file(side: str, file: FileFacts) -> str:
    matrices = ", ".join(f"{place} {form}" for place, form in file.matrices.items())
    return f"{side}  {file.path}: {file.cells:,} cells × {file.genes:,} genes; {matrices}"


def _table(comparison: Comparison) -> Iterator[str]:
    rows = [("part", "verdict", "compared"), *((p.name, str(p.verdict), summary(p)) for p in comparison.parts)]
    widths = [max(len(row[k]) for row in rows) for k in range(2)]
    for row in rows:
        yield f"{row[0]:{widths[0]}}  {row[1]:{widths[1]}}  {row[2]}".rstrip()
