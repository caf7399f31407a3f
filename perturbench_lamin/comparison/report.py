"""A comparison as one self-contained page."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from perturbench_lamin.comparison import figures
from perturbench_lamin.comparison.result import Comparison, Part, Verdict
from perturbench_lamin.comparison.text import headline, summary
from perturbench_lamin.evaluation import report_page as html
from perturbench_lamin.files import write_text


def write_report(comparison: Comparison, path: str | Path, *, title: str = "Comparison") -> Path:
    """Write a comparison as a page: verdict, parts, differences, what explains them, examples.

    Args:
        comparison: what was found.
        path: of the HTML file, written atomically. The page needs no network and no script; the same comparison
            gives the same bytes.
        title: of the page.
    """
    return write_text(path, html.page(title, _sections(comparison)))


def _sections(comparison: Comparison) -> Iterator[str]:
    yield html.paragraph(headline(comparison))
    if comparison.verdict is Verdict.DIFFERENT:
        yield html.warnings(comparison.differences)
    if comparison.uncompared:
        yield html.section("Not compared", *map(html.paragraph, comparison.uncompared))
    yield html.section("Files", _files(comparison))
    yield html.section("Parts", _parts(comparison), html.picture(figures.overlap_figure(comparison), "overlap"))
    if comparison.senses:
        yield html.section("The same in this sense", *map(html.paragraph, comparison.senses))
    notes = [f"{part.name}: {note}" for part in comparison.parts for note in part.notes]
    if notes:
        yield html.section("Notes", *map(html.paragraph, notes))
    yield from _explanations(comparison)
    for part in comparison.parts:
        yield from _only(part)
        yield from _matrix(part.name, part.details)
        yield from _columns(part)
        yield from _splits(part)
    yield html.section("Settings", _table(["setting", "value"], comparison.settings.items()))


def _table(head: Sequence[str], rows: Iterable[Sequence[Any]], flags: Sequence[int] = ()) -> str:
    """A table of values; columns in ``flags`` are marked."""
    return html.table(
        head, [[(_shown(value), "flag" if k in flags else "") for k, value in enumerate(row)] for row in rows]
    )


def _files(comparison: Comparison) -> str:
    rows = [
        (
            side,
            file.path,
            file.cells,
            file.genes,
            ", ".join(f"{place}: {form}" for place, form in file.matrices.items()),
        )
        for side, file in (("A", comparison.a), ("B", comparison.b))
    ]
    return _table(["file", "path", "cells", "genes", "matrices"], rows)


def _parts(comparison: Comparison) -> str:
    rows = [
        [(part.name, ""), (str(part.verdict), "flag" if part.differences else ""), (summary(part), "")]
        for part in comparison.parts
    ]
    return html.table(["part", "verdict", "compared"], rows)


def _explanations(comparison: Comparison) -> Iterator[str]:
    found: dict[str, list[dict[str, Any]]] = {}
    for part in comparison.parts:
        for side in ("a", "b"):
            found[f"{part.name} only in {side.upper()}"] = part.details.get(f"explanations_{side}", [])
        several = part.details.get("explanations", [])
        if isinstance(several, Mapping):
            found |= {f"{part.name} {column} differs": reasons for column, reasons in several.items()}
        else:
            found[f"{part.name} differ"] = several
    found = {what: reasons for what, reasons in found.items() if reasons}
    if found:
        rows = [
            (
                figures.short(one["text"]),
                what,
                f"{one['coverage']:.1%}",
                f"{one['purity']:.1%}",
                one["chosen"],
                one["others"],
            )
            for what, reasons in found.items()
            for one in reasons
        ]
        head = ["condition", "what", "coverage", "purity", "of them", "of the others"]
        text = "Coverage: how many of them satisfy the condition. Purity: how many that satisfy it are among them."
        picture = html.picture(figures.explanation_figure(found), "conditions that explain the differences")
        yield html.section("What explains it", html.paragraph(text), _table(head, rows), picture)


def _only(part: Part) -> Iterator[str]:
    """Cells that only one file has, by condition and covariates."""
    for side in ("A", "B"):
        groups = part.details.get(f"groups_{side.lower()}")
        if groups:
            yield html.section(
                f"{part.name.capitalize()} only in {side}",
                _table(list(groups[0]), [tuple(group.values()) for group in groups]),
            )


def _matrix(name: str, details: Mapping[str, Any]) -> Iterator[str]:
    """The examples of a matrix, or of the matrices in a part of several."""
    for inner, value in details.items():
        if isinstance(value, Mapping) and "relation" in value:
            yield from _matrix(inner, value)
    if not details.get("unlike_values"):
        return
    head = [*(axis.replace("cells", "cell").replace("genes", "gene").rstrip("s") for axis in details["axes"]), "A", "B"]
    tables = [
        piece
        for title, key in (("First", "first"), ("Largest", "largest"))
        for piece in (html.heading(title), _table(head, [tuple(row.values()) for row in details[key]]))
    ]
    genes = details.get("genes", {})
    if genes:
        tables += [html.heading("Genes with most of them"), _table(["gene", "values"], genes.items())]
    picture = html.picture(figures.distance_figure(name, details["histogram"]), f"distances of {name}")
    yield html.section(f"Values of {name} that differ", picture, *tables)


def _columns(part: Part) -> Iterator[str]:
    for inner, value in part.details.items():
        if isinstance(value, Mapping) and "columns" in value:
            yield from _columns(Part(inner, details=value))
    unlike = [column for column in part.details.get("columns", []) if column["unlike"]]
    tables = [
        piece
        for column in unlike
        for piece in (
            html.heading(f"{column['a']}: {column['unlike']:,} differ"),
            _table(["A", "B", "rows"], [tuple(pair.values()) for pair in column["pairs"]]),
        )
    ]
    if tables:
        yield html.section(f"Columns of {part.name} that differ", *tables)


def _splits(part: Part) -> Iterator[str]:
    tables = [
        piece
        for split in part.details.get("splits", [])
        for piece in (
            html.heading(f"{split['a']}: {split['unlike']:,} cells differ"),
            _table(["A", "B", "cells"], [tuple(row.values()) for row in split["cells"]]),
        )
    ]
    if tables:
        yield html.section("Splits", *tables)


def _shown(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.6g}"
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)
