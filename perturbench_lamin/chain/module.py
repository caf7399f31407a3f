"""What a Python file imports and names, and a digest of what it does."""

from __future__ import annotations

import ast
import hashlib
import json
import re
import sys
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from functools import cache
from typing import Any

from perturbench_lamin import remembered

FORM = 3
"""Of what is remembered of a file: another one whenever this module reads files in another way."""
NAMING = re.compile(r"[\w.:/-]{1,200}")
"""A text that could name a module, a class or a file."""
IMPORTERS = frozenset({"import_module", "__import__", "load_module", "run_module"})
"""Calls that import by a name."""
TEXT_READERS = frozenset({"__doc__", "getdoc", "getsource", "getsourcelines", "findsource"})
"""Where one of these stands, docstrings and comments can decide a result."""
SILENT = frozenset({"ctx", "kind", "type_comment", "type_ignores"})
"""Fields of syntax trees that say nothing of what code does, or differ between versions of Python."""


@dataclass(frozen=True)
class Import:
    """One import.

    Attributes:
        module: its name; relative where ``level`` is not 0.
        level: dots before it.
        names: what is taken from it, such as ``name`` or ``name.attribute``.
    """

    module: str
    level: int = 0
    names: tuple[str, ...] = ()

    def absolute(self, package: str) -> str:
        """The module's full name, imported from within a package."""
        if not self.level:
            return self.module
        parts = package.split(".")
        base = parts[: len(parts) - self.level + 1]
        return ".".join([*base, *([self.module] if self.module else [])])


@dataclass(frozen=True)
class Module:
    """What a file imports, names and does.

    Attributes:
        imports: at any depth, without those for type checkers.
        literals: the texts in it that could name a module or a file.
        defines: names that it binds at its top.
        imports_by_name: whether it imports modules by names that are made when it runs.
        is_lazy: whether it has a ``__getattr__`` of its own, as packages with lazy exports do.
        tables: where it is lazy, each entry of its dictionaries: such texts of the key and of the value.
        reads_text: whether it looks at docstrings or source code.
        digest: of what it does: the syntax tree without comments, layout, docstrings and line numbers.
    """

    imports: tuple[Import, ...]
    literals: frozenset[str]
    defines: frozenset[str]
    imports_by_name: bool
    is_lazy: bool
    tables: tuple[tuple[frozenset[str], frozenset[str]], ...]
    reads_text: bool
    digest: str

    def exports(self, name: str) -> frozenset[str]:
        """The texts that may name the module of a lazy export; all texts where no table tells."""
        told = [values for keys, values in self.tables if name in keys]
        told += [keys for keys, values in self.tables if name in values]
        return frozenset().union(*told) if told else self.literals


@cache
def parse(source: bytes) -> Module:
    """Read a file's code, or remember what was read; no valid Python imports nothing and counts by its bytes."""
    key = f"module {FORM} python {sys.version_info[:2]}: {hashlib.sha256(source).hexdigest()}"
    known = remembered.recall(key)
    if known is not None:
        return _from_plain(json.loads(known))
    module = _read(source)
    remembered.keep(key, json.dumps(_to_plain(module)))
    return module


def _to_plain(module: Module) -> dict[str, Any]:
    plain = asdict(module)
    tables = [[sorted(keys), sorted(values)] for keys, values in module.tables]
    return {**plain, "literals": sorted(module.literals), "defines": sorted(module.defines), "tables": tables}


def _from_plain(plain: dict[str, Any]) -> Module:
    return Module(
        **{
            **plain,
            "imports": tuple(Import(one["module"], one["level"], tuple(one["names"])) for one in plain["imports"]),
            "literals": frozenset(plain["literals"]),
            "defines": frozenset(plain["defines"]),
            "tables": tuple((frozenset(keys), frozenset(values)) for keys, values in plain["tables"]),
        }
    )


def _read(source: bytes) -> Module:
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError):
        digest = hashlib.sha256(source).hexdigest()
        return Module((), frozenset(), frozenset(), False, False, (), False, digest)
    nodes = list(_nodes(tree))
    imports = [*_imports(nodes), *_used_modules(nodes)]
    defines = _defines(tree)
    return Module(
        imports=tuple(dict.fromkeys(imports)),
        literals=_plain_texts(nodes),
        defines=defines,
        imports_by_name=any(_called(node) in IMPORTERS for node in nodes if isinstance(node, ast.Call)),
        is_lazy="__getattr__" in defines,
        tables=tuple(_tables(nodes)) if "__getattr__" in defines else (),
        reads_text=any(_name(node) in TEXT_READERS for node in nodes),
        digest=_digest(tree),
    )


def _nodes(tree: ast.AST) -> Iterator[ast.AST]:
    """All nodes but those that only a type checker sees."""
    todo: list[ast.AST] = [tree]
    while todo:
        node = todo.pop()
        yield node
        if isinstance(node, ast.If) and _name(node.test) == "TYPE_CHECKING":
            todo += node.orelse
        else:
            todo += ast.iter_child_nodes(node)


def _name(node: ast.AST) -> str:
    """The last name of ``name`` or ``some.name``."""
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""


def _called(node: ast.Call) -> str:
    return _name(node.func)


def _imports(nodes: list[ast.AST]) -> Iterator[Import]:
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (Import(alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            names = tuple(alias.name for alias in node.names)
            yield Import(node.module or "", node.level, names)
        elif isinstance(node, ast.Call) and _called(node) in IMPORTERS:
            yield from (Import(text) for text in _texts(list(node.args[:1])) if not text.startswith("."))


def _used_modules(nodes: list[ast.AST]) -> Iterator[Import]:
    """``import some`` and ``some.name``: as if ``name`` were imported from it. ``some`` alone: all that it exports."""
    bound = dict(_bound(nodes))
    inner = {id(node.value) for node in nodes if isinstance(node, ast.Attribute)}
    for node in nodes:
        chain = _chain(node) if isinstance(node, ast.Attribute | ast.Name) and id(node) not in inner else []
        if chain and chain[0] in bound:
            whole = bound[chain[0]]
            rest = ".".join(chain[1:])
            yield Import(whole.module, whole.level, tuple(".".join(filter(None, (name, rest))) for name in whole.names))


def _bound(nodes: list[ast.AST]) -> Iterator[tuple[str, Import]]:
    """Names that imports bind, and what they stand for."""
    for node in nodes:
        if isinstance(node, ast.Import):
            for alias in node.names:
                top = alias.name if alias.asname else alias.name.partition(".")[0]
                yield alias.asname or top, Import(top, 0, ("",))
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                yield alias.asname or alias.name, Import(node.module or "", node.level, (alias.name,))


def _chain(node: ast.AST) -> list[str]:
    """``some.name.attribute`` as its names; nothing for an attribute of something else than a name."""
    names: list[str] = []
    while isinstance(node, ast.Attribute):
        names.append(node.attr)
        node = node.value
    return [node.id, *reversed(names)] if isinstance(node, ast.Name) else []


def _texts(nodes: list[ast.AST]) -> frozenset[str]:
    return _plain_texts(inner for node in nodes for inner in ast.walk(node))


def _plain_texts(nodes: Iterable[ast.AST]) -> frozenset[str]:
    texts = (node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str))
    return frozenset(text for text in texts if NAMING.fullmatch(text))


def _tables(nodes: list[ast.AST]) -> Iterator[tuple[frozenset[str], frozenset[str]]]:
    for node in nodes:
        if isinstance(node, ast.Dict):
            for key, value in zip(node.keys, node.values, strict=True):
                if key is not None:
                    yield _texts([key]), _texts([value])


def _defines(tree: ast.Module) -> frozenset[str]:
    found: set[str] = set()
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            found.add(node.name)
        else:
            found.update(inner.id for inner in ast.walk(node) if isinstance(inner, ast.Name))
            found.update(alias.asname or alias.name for alias in getattr(node, "names", []) if hasattr(alias, "asname"))
    return frozenset(found)


def _digest(tree: ast.Module) -> str:
    words: list[str] = []
    _write_canonical(tree, words)
    return hashlib.sha256("\n".join(words).encode("utf-8", "surrogatepass")).hexdigest()


def _write_canonical(node: object, out: list[str]) -> None:
    """Write a syntax tree as words, the same on every version of Python.

    Statements that are a text alone, such as docstrings, do nothing and are left out. So are empty fields: later
    versions have more of them.
    """
    if isinstance(node, ast.AST):
        out.append(f"({type(node).__name__}")
        for name in node._fields:
            value = _pieces(node) if isinstance(node, ast.JoinedStr) else getattr(node, name, None)
            if value is not None and value != [] and name not in SILENT:
                out.append(name)
                _write_canonical(value, out)
        out.append(")")
    elif isinstance(node, list):
        out.append("[")
        for item in node:
            if not _is_text_alone(item):
                _write_canonical(item, out)
        out.append("]")
    else:
        out.append(f"{type(node).__name__} {node!r}")


def _pieces(node: ast.JoinedStr) -> list[ast.expr]:
    """The pieces of an f-string; some versions put empty texts between them."""
    return [piece for piece in node.values if not (isinstance(piece, ast.Constant) and piece.value == "")]


def _is_text_alone(node: object) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
