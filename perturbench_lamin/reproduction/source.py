"""Recorded source code as a notebook again, and what it says of its parameters."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from perturbench_lamin.errors import ChainError
from perturbench_lamin.files import atomic_path

KERNEL = {"name": "python3", "display_name": "Python 3", "language": "python"}


def notebook(source: str, title: str) -> Any:
    """The notebook that LaminDB's record of it was made from.

    Args:
        source: jupytext's percent format, in which LaminDB keeps notebooks; without the title.
        title: the notebook's first heading, which LaminDB keeps as the transform's description.

    Raises:
        ChainError: it is not readable.
    """
    import jupytext

    lines = source.split("\n")
    if lines[:2] == ["# %% [markdown]", "#"] and title:
        lines[1] = f"# # {title}"
    try:
        book = jupytext.reads("\n".join(lines), fmt="py:percent")
    except Exception as error:  # jupytext has no error class of its own
        raise ChainError(f"The recorded source is not a readable notebook: {error}", where=title) from error
    book.metadata["kernelspec"] = dict(KERNEL)
    for place, cell in enumerate(book.cells):
        cell["id"] = f"cell-{place}"
    return book


def write(book: Any, path: Path) -> Path:
    """Write a notebook atomically."""
    import nbformat

    with atomic_path(path) as temporary:
        nbformat.write(book, temporary)
    return path


def declared(book: Any) -> tuple[str, ...]:
    """The names that the parameters cell sets; none where there is no such cell."""
    cells = [cell for cell in book.cells if "parameters" in cell.metadata.get("tags", [])]
    nodes = [node for cell in cells for node in ast.parse(cell.source).body if isinstance(node, ast.Assign)]
    return tuple(target.id for node in nodes for target in node.targets if isinstance(target, ast.Name))


def tracked(book: Any) -> tuple[str, ...]:
    """The names that ``ln.track(params={…})`` records, as far as they are written out."""
    for cell in book.cells:
        if cell.cell_type == "code" and "track(" in cell.source:
            for call in _calls(cell.source):
                named = {keyword.arg: keyword.value for keyword in call.keywords}
                params = named.get("params")
                if isinstance(params, ast.Dict):
                    return tuple(str(key.value) for key in params.keys if isinstance(key, ast.Constant))
    return ()


def parameters(book: Any, recorded: Mapping[str, Any], renamed: Mapping[str, str]) -> dict[str, Any]:
    """The recorded parameters, for the notebook's parameters cell.

    LaminDB leaves out parameters that are None: one that the source tracks and the record lacks was None.

    Args:
        book: the notebook.
        recorded: as in the run's record.
        renamed: uid or key of a recorded input → uid of what stands for it now.
    """
    known = declared(book)
    absent = {name: None for name in tracked(book) if name not in recorded}
    return {name: _refer(value, renamed) for name, value in {**absent, **recorded}.items() if name in known}


def _refer(value: Any, renamed: Mapping[str, str]) -> Any:
    if isinstance(value, str):
        return renamed.get(value, value)
    if isinstance(value, list):
        return [_refer(one, renamed) for one in value]
    if isinstance(value, dict):
        return {key: _refer(one, renamed) for key, one in value.items()}
    return value


def _calls(source: str) -> list[ast.Call]:
    plain = "\n".join(line for line in source.split("\n") if not line.lstrip().startswith(("%", "!")))
    try:
        tree = ast.parse(plain)
    except SyntaxError:
        return []
    found = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    return [call for call in found if ast.unparse(call.func).endswith("track")]
