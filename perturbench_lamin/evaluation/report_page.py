"""The parts of a self-contained HTML page: everything inline, every name escaped, no script."""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Iterable, Sequence
from html import escape

from matplotlib import rc_context
from matplotlib.figure import Figure

STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 72rem; margin: 2rem auto; padding: 0 1rem; color: #1b1b1b;
  background: #fff }
h1, h2, h3 { line-height: 1.2 } h2 { margin-top: 2.5rem; border-bottom: 1px solid #ddd; padding-bottom: .2rem }
table { border-collapse: collapse; font-size: 13px } .wide { overflow-x: auto }
th, td { padding: .2rem .6rem; text-align: right; border-bottom: 1px solid #eee; white-space: nowrap }
th:first-child, td:first-child { text-align: left; position: sticky; left: 0; background: #fff }
thead th { border-bottom: 2px solid #888; vertical-align: bottom; white-space: normal; min-width: 4rem }
td.best { font-weight: 700 } td.flag { color: #a40000 } td.formula { white-space: normal; text-align: left }
td small { display: block; color: #666; font-weight: 400; font-size: 11px; line-height: 1.2 }
nav { font-size: 13px } nav a { display: inline-block; margin-right: 1rem; color: #0b5394 }
.picture { overflow-x: auto } img { max-width: 100%; height: auto }
.warning { background: #fff4e0; border-left: 4px solid #d98200; padding: .4rem .8rem; margin: .4rem 0;
  overflow-wrap: anywhere } p.note { color: #444; max-width: 60rem }
@media (max-width: 700px) { body { margin: 1rem auto } .picture img { max-width: none }
  th:first-child, td:first-child { max-width: 11rem; white-space: normal; overflow-wrap: anywhere } }
@media print { .wide, .picture { overflow: visible } h2 { break-after: avoid } }
"""


HEADING = re.compile(r'<h2 id="([^"]*)">([^<]*)</h2>')


def page(title: str, sections: Iterable[str]) -> str:
    """The whole page; what stands before the first heading comes first, then links to the headings."""
    parts = list(sections)
    links = "".join(f'<a href="#{name}">{name_of}</a>' for part in parts for name, name_of in HEADING.findall(part))
    body = f"{parts[0]}\n<nav>{links}</nav>\n" + "\n".join(parts[1:]) if parts else ""
    return (
        f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; img-src data:; style-src '
        "'unsafe-inline'\">\n"
        f"<style>{STYLE}</style></head>\n<body>\n<h1>{escape(title)}</h1>\n{body}\n</body></html>\n"
    )


def section(title: str, *parts: str) -> str:
    """A heading and what follows."""
    name = re.sub(r"[^a-z]+", "-", title.lower()).strip("-")
    return f'<h2 id="{name}">{escape(title)}</h2>\n' + "\n".join(parts)


def heading(text: str) -> str:
    """A heading of a part of a section."""
    return f"<h3>{escape(text)}</h3>"


def paragraph(text: str) -> str:
    """A paragraph of plain text."""
    return f'<p class="note">{escape(text)}</p>'


def warnings(texts: Sequence[str]) -> str:
    """Sentences to be seen."""
    return "\n".join(map(warning, texts))


def warning(text: str) -> str:
    """A sentence to be seen."""
    return f'<div class="warning">{escape(text)}</div>'


def table(head: Sequence[str], rows: Iterable[Sequence[tuple[str, str]]]) -> str:
    """A table of plain text.

    Args:
        head: of the columns.
        rows: per cell its text and its class, or ""; further lines of a text are shown small.
    """
    cells = "".join(f"<th>{escape(text)}</th>" for text in head)
    lines = []
    for row in rows:
        marks = "".join(f'<td class="{escape(kind)}">{_lines(text)}</td>' for text, kind in row)
        lines.append(f"<tr>{marks}</tr>")
    body = "\n".join(lines)
    return f'<div class="wide"><table><thead><tr>{cells}</tr></thead>\n<tbody>\n{body}\n</tbody></table></div>'


def _lines(text: str) -> str:
    first, *others = (escape(line) for line in text.split("\n"))
    return first + "".join(f"<small>{line}</small>" for line in others)


def picture(figure: Figure, caption: str, *, dots: bool = False) -> str:
    """A figure, as SVG, or as PNG where it has very many dots; the same bytes every time."""
    stream, kind = io.BytesIO(), "png" if dots else "svg"
    with rc_context({"svg.hashsalt": "report", "svg.fonttype": "path"}):
        if dots:
            figure.savefig(stream, format=kind, dpi=130, metadata={"Software": None})
        else:
            figure.savefig(stream, format=kind, metadata={"Date": None, "Creator": None})
    data = base64.b64encode(stream.getvalue()).decode()
    mime = "image/png" if dots else "image/svg+xml"
    return f'<p class="picture"><img src="data:{mime};base64,{data}" alt="{escape(caption, quote=True)}"></p>'
