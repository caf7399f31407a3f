"""The gate of files of plain values: JSON, and YAML, in which no name stands twice."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped]

from perturbench_lamin.errors import InputError

MOST_BYTES = 16 << 20


def read_json(path: str | Path) -> Any:
    """The values of a JSON file.

    Raises:
        InputError: it is not readable, or not JSON, or has a name twice.
    """
    path = Path(path)
    try:
        return json.loads(_text(path), object_pairs_hook=_each_once)
    except (ValueError, RecursionError) as error:
        raise InputError(f"Not readable as JSON: {_first_line(error)}", where=path, fix="Mend or remove it.") from error


def read_yaml(path: str | Path) -> Any:
    """The values of a YAML or JSON file; no object is made of it.

    Raises:
        InputError: it is not readable, or neither, or has a name twice.
    """
    path = Path(path)
    try:
        return yaml.load(_text(path), _Loader)  # JSON is YAML
    except (yaml.YAMLError, ValueError, TypeError, RecursionError, OverflowError) as error:
        raise InputError(f"Not readable as JSON or YAML: {_one_line(error)}", where=path, fix="Mend it.") from error


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            content = file.read(MOST_BYTES + 1)
        if len(content) > MOST_BYTES:
            raise InputError(f"More than {MOST_BYTES:,} bytes of plain values", where=path, fix="Is it another file?")
        return content.decode("utf-8-sig")
    except OSError as error:
        raise InputError(f"Not readable: {error.strerror}", where=path, fix="Check the path.") from error
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise InputError(
            f"Not readable: the byte {content[error.start]:#04x} is not UTF-8", where=f"{path}, line {line}"
        ) from error


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"{next(name for name in names if names.count(name) > 1)!r} stands there twice")
    return found


class _Loader(yaml.SafeLoader):
    """YAML's safe loader, to which ``1e-8`` is a number: YAML 1.1 takes it for text, JSON and YAML 1.2 do not."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):  # a few, each of the one before, grow beyond any memory
            raise ValueError("aliases (*name) are not read")
        return super().compose_node(parent, index)

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        names = [self.construct_object(key, deep=True) for key, _ in node.value]
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            raise ValueError(f"{twice!r} stands there twice, line {node.start_mark.line + 1} and below")
        return super().construct_mapping(node, deep)


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"[-+]?[0-9]+(?:\.[0-9]*)?[eE][-+]?[0-9]+$"), list("-+0123456789")
)


def _first_line(error: BaseException) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__
