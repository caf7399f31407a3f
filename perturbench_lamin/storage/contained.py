"""Whether an HDF5 file or zarr folder holds all that it names, and can hold as much as it declares."""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import Any, TypeAlias

import h5py

from perturbench_lamin.errors import InputError, IntegrityError
from perturbench_lamin.storage.heaps import Stored, require_heaps
from perturbench_lamin.storage.reading import AGAIN, reading

INSIDE = "Copy what it points to into the file: files that point elsewhere are not read."

ENCODING = ("encoding-type", "encoding-version")

SMALL = 1 << 26
"""Bytes that any array may declare, stored or not: unwritten parts are fill values, which need no room."""

EXPANSION = {h5py.h5z.FILTER_DEFLATE: 1100, h5py.h5z.FILTER_SZIP: 1100, h5py.h5z.FILTER_LZF: 1100}
"""How many bytes a stored one can become at most: DEFLATE's limit is 1032, LZF's 88."""

OTHER_EXPANSION = 1 << 17
"""Of filters that are not listed: Zstandard stores runs of 128 KiB in a few bytes."""

KEEP_SIZE = (h5py.h5z.FILTER_SHUFFLE, h5py.h5z.FILTER_FLETCHER32, h5py.h5z.FILTER_NBIT, h5py.h5z.FILTER_SCALEOFFSET)
NBIT_EXPANSION = 64

Address: TypeAlias = "tuple[int, int]"


def require_contained(file: h5py.File, path: Path) -> None:
    """Walk the links of an HDF5 file once.

    Raises:
        InputError: a link, an external storage or a virtual dataset points out of the file.
        IntegrityError: an array declares more values than the file can hold, a heap of texts is damaged, a group
            holds itself, or the file cannot be walked.
    """
    stored, size = Stored(), path.stat().st_size
    links: list[tuple[str, Any]] = []
    with reading(path):
        file.visititems_links(lambda name, link: links.append((name, link)))  # what it raises would be lost
        groups = {"": _address(file.id)}
    for name, link in links:
        _look(file.id, path, size, stored, groups, name, link)
    with reading(path):
        require_heaps(path, stored)
    for name in ("/", *(name for name, link in links if isinstance(link, h5py.HardLink))):
        with reading(path, name):
            _read_encoding(file[name])


def _look(
    file: h5py.h5f.FileID, path: Path, size: int, stored: Stored, groups: dict[str, Address], name: str, link: Any
) -> None:
    place = name.encode(errors="backslashreplace").decode()
    if isinstance(link, h5py.SoftLink):
        return  # within the file: what it leads to is walked under its own name
    if not isinstance(link, h5py.HardLink):
        target = getattr(link, "filename", "elsewhere")
        raise InputError(f"{place} is a link to another file, {target!r}", where=path, fix=INSIDE)
    with reading(path, place):
        found = h5py.h5o.open(file, name.encode(errors="surrogateescape"))
        if isinstance(found, h5py.h5d.DatasetID):
            _require_stored_here(found, path, place)
            _require_room(found, path, place, size)
            stored.add(found)
        elif isinstance(found, h5py.h5g.GroupID):
            groups[name] = _address(found)
            above = ["", *(name[:at] for at, letter in enumerate(name) if letter == "/")]
            if any(groups.get(parent) == groups[name] for parent in above):
                raise IntegrityError(f"{place} is a group that holds itself", where=path, fix=AGAIN)


def _read_encoding(element: Any) -> None:
    """What a part says it is: anndata asks every one, so that damage here makes it another part."""
    for word in ENCODING:
        element.attrs.get(word)


def _address(group: Any) -> Address:
    found = h5py.h5o.get_info(group)
    return int(found.fileno), int(found.addr)


def _require_stored_here(dataset: h5py.h5d.DatasetID, path: Path, place: str) -> None:
    layout = dataset.get_create_plist()
    elsewhere = [layout.get_external(number)[0] for number in range(layout.get_external_count())]
    if layout.get_layout() == h5py.h5d.VIRTUAL:
        elsewhere += [layout.get_virtual_filename(number) for number in range(layout.get_virtual_count())]
    names = sorted({one.decode(errors="backslashreplace") if isinstance(one, bytes) else one for one in elsewhere})
    if names not in ([], ["."]):
        raise InputError(f"The values of {place} are in another file, {names[-1]!r}", where=path, fix=INSIDE)


def _require_room(dataset: h5py.h5d.DatasetID, path: Path, place: str, size: int) -> None:
    layout, width = dataset.get_create_plist(), dataset.get_type().get_size()
    declared = math.prod(dataset.shape or ()) * width
    if layout.get_layout() == h5py.h5d.CHUNKED:  # a chunk is read as a whole
        declared = max(declared, math.prod(layout.get_chunk()) * width)
    if declared <= SMALL or layout.get_layout() == h5py.h5d.VIRTUAL:
        return
    stored = min(dataset.get_storage_size(), size)
    if declared > max(SMALL, stored * _expansion(layout)):
        raise IntegrityError(
            f"{place} declares {declared / 2**30:,.1f} GiB, but {stored:,} bytes are stored", where=path, fix=AGAIN
        )


def _expansion(layout: Any) -> int:
    factor = 1
    for number in range(layout.get_nfilters()):
        code = layout.get_filter(number)[0]
        if code in (h5py.h5z.FILTER_NBIT, h5py.h5z.FILTER_SCALEOFFSET):
            factor *= NBIT_EXPANSION
        elif code not in KEEP_SIZE:
            factor *= EXPANSION.get(code, OTHER_EXPANSION)
    return factor


def require_contained_folder(folder: Path) -> int:
    """Walk a zarr folder once.

    Returns:
        The bytes of its files.

    Raises:
        InputError: a symbolic link leads out of it.
    """
    total, root = 0, folder.resolve()
    with reading(folder):
        for parent, folders, files in os.walk(folder):
            for name in (*folders, *files):
                own = Path(parent) / name
                if own.is_symlink() and not own.resolve().is_relative_to(root):
                    raise InputError(f"{own.relative_to(folder)} is a link out of the folder", where=folder, fix=INSIDE)
            total += sum((Path(parent) / name).stat().st_size for name in files)
    return total


def require_room_in_folder(array: Any, folder: Path, place: str, stored: int) -> None:
    """Check that a zarr array declares no more than files of ``stored`` bytes can hold.

    Raises:
        IntegrityError: it declares more.
    """
    declared = math.prod(array.shape) * max(int(getattr(array.dtype, "itemsize", 1)), 1)
    if declared > max(SMALL, stored * OTHER_EXPANSION):
        raise IntegrityError(
            f"{place} declares {declared / 2**30:,.1f} GiB, but {stored:,} bytes are stored", where=folder, fix=AGAIN
        )
