"""What goes wrong while a file is read, told in one line with the file and the place in it."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import anndata as ad
from anndata._io.specs.registry import IORegistryError

from perturbench_lamin.errors import InputError, IntegrityError, PerturbenchError

AGAIN = "The file is damaged: fetch it again, or write it again with anndata."
LONGEST = 200
"""Characters of a library's message that are passed on."""


@contextmanager
def reading(path: str | Path, place: str = "") -> Iterator[None]:
    """Name the file and the place in whatever fails while they are read.

    Args:
        path: the file.
        place: what is read of it, such as ``X/indices``; the file as a whole where empty.

    Raises:
        IntegrityError: HDF5, zarr or anndata could not read it.
        InputError: it does not fit in memory.
    """
    what = place or "The file"
    try:
        yield
    except PerturbenchError:
        raise
    except MemoryError as error:
        raise InputError(
            f"{what} does not fit in memory", where=path, fix="Use a machine with more, or mend the file."
        ) from error
    except Exception as error:  # there is no list of what damage makes these libraries raise
        raise IntegrityError(f"{what} cannot be read ({told(error)})", where=path, fix=AGAIN) from error


@contextmanager
def about(*paths: str | Path) -> Iterator[None]:
    """Name the files in errors about what was read of them, by code that does not know of files.

    Raises:
        PerturbenchError: the same, its place in the files, unless it names one of them already.
    """
    try:
        yield
    except PerturbenchError as error:
        if any(str(path) in str(error) for path in paths):
            raise
        names = " and ".join(map(str, paths))
        where = names if error.where is None else f"{names}, {error.where}"
        raise type(error)(error.what, where=where, fix=error.fix) from error


def told(error: BaseException) -> str:
    """The first line of an error's message; its kind where it has none."""
    lines = str(error).strip().splitlines()
    text = lines[0].encode("ascii", "backslashreplace").decode() if lines else ""
    text = f"{type(error).__name__}: {text}" if isinstance(error, KeyError) or not text else text
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"


def read_known(group: Any, path: str | Path, place: str) -> dict[str, Any]:
    """A mapping as anndata reads it; elements whose encoding it does not know are left as they are stored."""
    found: dict[str, Any] = {}
    with reading(path, place):
        version = group.attrs.get("encoding-version", "")
        if not isinstance(version, str | bytes):
            raise IntegrityError(f"{place} has the encoding-version {version!r}", where=path, fix=AGAIN)
        elements = {str(name): group[name] for name in group}
    for name, element in elements.items():
        inner = f"{place}/{name}"
        if not hasattr(element, "dtype") and element.attrs.get("encoding-type", "dict") == "dict":
            found[name] = read_known(element, path, inner)
            continue
        try:
            found[name] = read_element(element, path, inner)
        except IntegrityError as error:
            if not isinstance(error.__cause__, IORegistryError):
                raise
            found[name] = element
    return found


def read_element(element: Any, path: str | Path, place: str) -> Any:
    """An element as anndata reads it, whichever version wrote it."""
    with reading(path, place), warnings.catch_warnings():
        warnings.simplefilter("ignore", ad.OldFormatWarning)
        return ad.io.read_elem(element)
