"""A comparison as text for a terminal."""

from __future__ import annotations

from collections.abc import Iterator

from perturbench_lamin.comparison.result import Comparison, FileFacts, Part


def as_text(comparison: Comparison) -> str:
    """The verdict, a table of the parts, and what differs or explains it."""
    lines = [_file("A", comparison.a), _file("B", comparison.b), "", *_table(comparison), ""]
    for title, texts in (
        ("The same in this sense", comparison.senses),
        ("Differences", comparison.differences),
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
    return f"Verdict: {verdict}" + (f" ({'; '.join(comparison.senses)})" if comparison.senses else "")


def summary(part: Part) -> str:
    """What was compared of a part, in a few words."""
    details = part.details
    if "shared" in details:
        return f"{details['shared']:,} shared, {details['only_a']:,} only in A, {details['only_b']:,} only in B"
    if "values" in details:
        return f"{details['values']:,} values, {details['unlike_values']:,} differ"
    if "columns" in details:
        unlike = sum(column["unlike"] > 0 for column in details["columns"])
        return f"{len(details['columns']):,} columns compared, {unlike:,} differ{_sides(part)}"
    if "splits" in details:
        unlike = sum(split["unlike"] > 0 for split in details["splits"])
        return f"{len(details['splits']):,} splits compared, {unlike:,} differ{_sides(part)}"
    if "common" in details:
        return f"{details['common']:,} common entries{_sides(part)}"
    return "" if details.get("compared", True) else "not compared"


def _sides(part: Part) -> str:
    return f", {len(part.details['only_a']):,} only in A, {len(part.details['only_b']):,} only in B"


def _file(side: str, file: FileFacts) -> str:
    matrices = ", ".join(f"{place} {form}" for place, form in file.matrices.items())
    return f"{side}  {file.path}: {file.cells:,} cells × {file.genes:,} genes; {matrices}"


def _table(comparison: Comparison) -> Iterator[str]:
    rows = [("part", "verdict", "compared"), *((p.name, str(p.verdict), summary(p)) for p in comparison.parts)]
    widths = [max(len(row[k]) for row in rows) for k in range(2)]
    for row in rows:
        yield f"{row[0]:{widths[0]}}  {row[1]:{widths[1]}}  {row[2]}".rstrip()
