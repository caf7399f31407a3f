"""Files and folders on the command line: what is read must be there; what is written must not harm anything."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import click

STORES = (".lamindb", ".lamin")
"""Folders in which LaminDB keeps what it stores, and its settings."""


class OutputPath(click.ParamType):
    """A path to write to, refused before any work where nothing can or may be written."""

    def _refusal(self, path: Path) -> str | None:
        """Why nothing may be written there."""
        raise NotImplementedError

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        """The path, once it is looked at."""
        path = Path(value)
        try:
            refusal = _place_refused(path) or self._refusal(path)
        except OSError as error:
            refusal = f"cannot be written: {error.strerror}"
        if refusal:
            self.fail(f"{str(value)!r} {refusal}", param, ctx)
        return path


class FileOut(OutputPath):
    """A file to write, whole or not at all.

    Args:
        suffixes: by which the file's kind is told; none means any.
    """

    name = "file"

    def __init__(self, *suffixes: str) -> None:
        self.suffixes = suffixes

    def _refusal(self, path: Path) -> str | None:
        if path.is_symlink():
            return f"is a symbolic link to {str(path.readlink())!r}: name the file itself."
        if path.is_dir():
            return "is a folder: name a file in it."
        if path.exists() and not path.is_file():
            return "is a device, a pipe or a socket: name a file."
        if path.exists() and not os.access(path, os.W_OK):
            return "is protected against writing: name another file."
        if self.suffixes and path.suffix not in self.suffixes:
            return f"must end in {' or '.join(self.suffixes)}."
        return None


class FolderOut(OutputPath):
    """A folder to write files into.

    Args:
        makes: names of files that are written there, over what may bear those names.
    """

    name = "folder"

    def __init__(self, *makes: str) -> None:
        self.makes = makes

    def _refusal(self, path: Path) -> str | None:
        if not path.is_dir() and os.path.lexists(path):
            return "is not a folder: name a folder."
        return _not_writable(path) if path.is_dir() else None


FILE_IN = click.Path(path_type=Path, exists=True, dir_okay=False)
CELLS_IN = click.Path(path_type=Path, exists=True)
"""An h5ad file, or a zarr folder of the same content."""

FOLDER_IN = click.Path(path_type=Path, file_okay=False)
PICTURE_OUT = FileOut(".png", ".svg", ".pdf")
TABLE_OUT = FileOut(".csv", ".parquet")


def check_outputs(ctx: click.Context) -> None:
    """Refuse outputs that are inputs, too, under whatever name, or each other.

    Raises:
        BadParameter: one would be written over.
    """
    inputs = [(param, path) for param, path in _paths(ctx) if not isinstance(param.type, OutputPath)]
    seen: list[tuple[click.Parameter, Path]] = []
    for param, path in _written(ctx):
        for other, given in [*inputs, *seen]:
            if _same(path, given):
                raise click.BadParameter(
                    f"{str(path)!r} is what {_called(other)} is: name another file.", ctx=ctx, param=param
                )
            if other.type in (FOLDER_IN, CELLS_IN) and _inside(path, given):
                raise click.BadParameter(
                    f"{str(path)!r} is a file of {_called(other)}: name another one.", ctx=ctx, param=param
                )
        seen.append((param, path))


def inputs_told(ctx: click.Context) -> str:
    """The files that a verb reads, and their sizes."""
    files = (path for param, path in _paths(ctx) if not isinstance(param.type, OutputPath) and path.is_file())
    return ", ".join(f"{path} ({path.stat().st_size / 2**20:,.1f} MiB)" for path in dict.fromkeys(files))


def _paths(ctx: click.Context) -> Iterator[tuple[click.Parameter, Path]]:
    """What the verb was given that is a path, or the name of a file that is there; also behind ``NAME=``."""
    for param in ctx.command.params:
        for value in _values(ctx.params.get(param.name or "")):
            if isinstance(value, Path):
                yield param, value
            elif isinstance(value, str):
                words = dict.fromkeys([value, value.partition("=")[2]])
                yield from ((param, Path(word)) for word in words if word and _is_file(word))


def _written(ctx: click.Context) -> Iterator[tuple[click.Parameter, Path]]:
    for param, path in _paths(ctx):
        if isinstance(param.type, FileOut):
            yield param, path
        elif isinstance(param.type, FolderOut):
            yield from ((param, path / name) for name in param.type.makes)


def _is_file(word: str) -> bool:
    try:
        return Path(word).is_file()
    except (OSError, ValueError):  # too long, or not a name at all
        return False


def _values(value: object) -> Iterable[object]:
    return value if isinstance(value, tuple) else (value,)


def _same(one: Path, other: Path) -> bool:
    try:
        return one.samefile(other)
    except OSError:
        return one.resolve() == other.resolve()


def _inside(path: Path, folder: Path) -> bool:
    return path.resolve().is_relative_to(folder.resolve())


def _called(param: click.Parameter) -> str:
    return param.opts[0] if isinstance(param, click.Option) else param.human_readable_name


def _place_refused(path: Path) -> str | None:
    """Why nothing may be written in the path's folder, or the nearest one there is: missing ones are made."""
    path = path.absolute()
    if any(part in STORES for part in path.resolve().parts):
        return "is in the storage of a LaminDB instance: what is there is recorded and stays as it is."
    folder = next((folder for folder in path.parents if os.path.lexists(folder)), path)
    if not folder.is_dir():
        return f"cannot be written: {folder} is not a folder."
    if len(os.fsencode(path.name)) > os.pathconf(folder, "PC_NAME_MAX"):
        return "has too long a name."
    return _not_writable(folder)


def _not_writable(folder: Path) -> str | None:
    allowed = os.access(folder, os.W_OK | os.X_OK)
    return None if allowed else f"cannot be written: no permission to write in {folder}."
