"""Make notebook output and other HTML of an instance safe to show: text, tables and pictures stay, code goes."""

from __future__ import annotations

import base64
import re
from functools import lru_cache

import nh3

TAGS = {
    "nav",
    *("a", "abbr", "b", "blockquote", "br", "caption", "code", "dd", "del", "details", "div", "dl", "dt", "em"),
    *("figcaption", "figure", "h1", "h2", "h3", "h4", "h5", "h6", "hr", "i", "img", "kbd", "li", "mark", "ol", "p"),
    *("pre", "s", "samp", "section", "small", "span", "strong", "sub", "summary", "sup", "table", "tbody", "td"),
    *("tfoot", "th", "thead", "tr", "u", "ul", "var"),
}
WITHOUT_CONTENT = {"script", "style", "head", "title", "noscript", "template", "iframe", "object", "svg", "math"}
ATTRIBUTES = {
    "*": {"class"},
    "h2": {"id"},
    "a": {"href", "title"},
    "img": {"src", "alt", "width", "height"},
    "td": {"colspan", "rowspan"},
    "th": {"colspan", "rowspan", "scope"},
    "ol": {"start"},
}
PICTURE = re.compile(r"data:image/(png|jpeg|gif|webp|svg\+xml);base64,[A-Za-z0-9+/=\s]*\Z")
"""Pictures are part of the page. A browser runs no script of an SVG that is shown as a picture."""
LINK = re.compile(r"(?i)https?://")
NOTEBOOK_CLASS = re.compile(r"(jp-[\w-]+|anchor-link|ansi-[\w-]+|highlight|dataframe|celltag_[\w-]+|[a-z]{1,2}\d?)\Z")
"""Classes of nbconvert and pygments; others could borrow the looks of the site's own parts."""
REPORT_CLASSES = frozenset({"wide", "best", "flag", "formula", "picture", "warning", "note"})
"""Classes of :mod:`perturbench_lamin.evaluation.report_page`: they get :data:`PREFIX`, under which the style sheet has
what that page says of them."""
PREFIX = "report-"
ANCHOR = re.compile(r"[a-z][a-z0-9-]*\Z")
"""A heading's name; it gets :data:`PREFIX`, too, and so do the links to it."""
DRAWING = re.compile(r"(?is)<svg\b.*?</svg\s*>")
WITHOUT_ALT = re.compile(r"<img(?![^>]*\salt=)")
BODY = re.compile(r"(?is)<body\b[^>]*>(.*)</body\s*>")


def sanitise(page: str) -> str:
    """The body of an HTML page, with nothing that could run, load from elsewhere, or reach out of its place.

    Kept are text, tables, links to http(s) and to the page's own headings, and pictures that the page itself holds;
    inline drawings become pictures. Scripts, styles, frames, forms, handlers and every other kind of address are
    removed.
    """
    found = BODY.search(page)
    body = DRAWING.sub(_as_picture, found.group(1) if found else page)
    clean = nh3.clean(
        body,
        tags=TAGS,
        clean_content_tags=WITHOUT_CONTENT,
        attributes=ATTRIBUTES,
        attribute_filter=_kept,
        url_schemes={"http", "https", "data"},
        link_rel="noopener noreferrer",
    )
    return WITHOUT_ALT.sub('<img alt="Picture in the page"', clean)


def is_link(value: object) -> bool:
    """Whether a value may stand as the address of a link."""
    return isinstance(value, str) and bool(LINK.match(value)) and not re.search(r"[\s<>\"]", value)


def _kept(tag: str, name: str, value: str) -> str | None:
    """An attribute's value, or what is kept of it, or None."""
    if name == "src":
        return value if PICTURE.match(value) else None
    if name == "id":
        return PREFIX + value if ANCHOR.match(value) else None
    if name == "href" and value.startswith("#") and ANCHOR.match(value[1:]):
        return f"#{PREFIX}{value[1:]}"
    if name == "href":
        return value if is_link(value) else None
    return _classes(value) if name == "class" else value


@lru_cache(maxsize=4096)
def _classes(value: str) -> str | None:
    words = (f"{PREFIX}{word}" if word in REPORT_CLASSES else word for word in value.split())
    return " ".join(word for word in words if word.startswith(PREFIX) or NOTEBOOK_CLASS.match(word)) or None


def _as_picture(drawing: re.Match[str]) -> str:
    text = drawing.group(0)
    if "xmlns=" not in text[: text.find(">")]:
        text = text.replace("<svg", '<svg xmlns="http://www.w3.org/2000/svg"', 1)
    return f'<img alt="Drawing" src="data:image/svg+xml;base64,{base64.b64encode(text.encode()).decode()}">'
