"""A transform's source as highlighted HTML."""

from __future__ import annotations

from pygments import highlight  # type: ignore[import-untyped]
from pygments.formatters import HtmlFormatter  # type: ignore[import-untyped]
from pygments.lexer import Lexer  # type: ignore[import-untyped]
from pygments.lexers import get_lexer_by_name, get_lexer_for_filename  # type: ignore[import-untyped]
from pygments.util import ClassNotFound  # type: ignore[import-untyped]


def source_html(source: str, key: str) -> str:
    """Highlighted source; every character of it is escaped.

    Args:
        source: LaminDB keeps a notebook as a Python script with its cells marked ``# %%``.
        key: of the transform; its suffix tells the language.
    """
    return highlight(source, _lexer(key), HtmlFormatter(cssclass="highlight", wrapcode=True))


def _lexer(key: str) -> Lexer:
    name = key.rsplit("/", 1)[-1]
    if name.endswith(".ipynb") or "." not in name:
        return get_lexer_by_name("python")
    try:
        return get_lexer_for_filename(name)
    except ClassNotFound:
        return get_lexer_by_name("text")
