"""What a notebook's file says, without running it: its cells, its parameters, its code."""

from __future__ import annotations

import ast
import hashlib
import json
import re
from collections.abc import Collection, Iterator
from pathlib import Path

from perturbench_lamin.errors import ChainError

HARMLESS = re.compile(r"^\s*%(matplotlib|config|load_ext)\b.*$", re.MULTILINE)
"""Magics that import nothing of ours."""
MAGICS = frozenset({"run_cell_magic", "run_line_magic"})
"""What IPython makes of other magics: calls with code in a text."""

Cell = tuple[str, str, list[str]]
"""Type, source, tags."""


def cells(notebook: Path) -> list[Cell]:
    """The cells of a notebook's file.

    Raises:
        ChainError: it is not a readable notebook.
    """
    try:
        found = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
        return [(cell["cell_type"], "".join(cell["source"]), cell["metadata"].get("tags", [])) for cell in found]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ChainError(f"Not a readable notebook: {error}", where=notebook) from error


def source_digest(notebook: Path) -> str:
    """A digest of a notebook's cells: their sources, types and tags, not outputs or counters."""
    return hashlib.sha256(json.dumps(cells(notebook)).encode()).hexdigest()


def defaults(notebook: Path) -> dict[str, str]:
    """The parameters cell: name → the code of its default.

    Raises:
        ChainError: it is not a readable notebook, or the cell is no Python.
    """
    sources = [source for kind, source, tags in cells(notebook) if kind == "code" and "parameters" in tags]
    try:
        nodes = [node for source in sources for node in ast.parse(source).body if isinstance(node, ast.Assign)]
    except SyntaxError as error:
        raise ChainError(f"The parameters cell is no Python: {error}", where=notebook) from error
    return {
        target.id: ast.unparse(node.value) for node in nodes for target in node.targets if isinstance(target, ast.Name)
    }


def code(notebook: Path, given: Collection[str] = ()) -> list[str]:
    """The Python code of each cell; of the parameters cell the defaults of parameters that are not given.

    A cell that is no Python, magics or not, is left out: it cannot run either.
    """
    found = [source for kind, source, tags in cells(notebook) if kind == "code" and "parameters" not in tags]
    kept = [f"{name} = {value}" for name, value in defaults(notebook).items() if name not in given]
    return ["\n".join(kept), *(part for source in found for part in _python(source))]


def _python(source: str) -> Iterator[str]:
    """A cell as Python, and the code that stands in its magics."""
    plain = HARMLESS.sub("", source)
    try:
        ast.parse(plain)
    except SyntaxError:
        yield from _without_magics(plain)
    else:
        yield plain


def _without_magics(source: str) -> Iterator[str]:
    from IPython.core.inputtransformer2 import TransformerManager

    try:
        plain = TransformerManager().transform_cell(source)  # type: ignore[no-untyped-call]
        tree = ast.parse(plain)
    except SyntaxError:
        return
    yield plain
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)]
    for call in (call for call in calls if isinstance(call.func, ast.Attribute) and call.func.attr in MAGICS):
        for argument in call.args[1:]:
            if isinstance(argument, ast.Constant) and isinstance(argument.value, str) and argument.value != source:
                yield from _python(argument.value)
