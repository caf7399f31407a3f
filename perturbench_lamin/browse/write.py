"""Write the site: all of it, or nothing."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path

from perturbench_lamin.browse.files_state import file_states
from perturbench_lamin.browse.pages import pages
from perturbench_lamin.browse.search_index import search_index
from perturbench_lamin.browse.site import Site
from perturbench_lamin.browse.snapshot import Snapshot
from perturbench_lamin.errors import InputError

MARKER = ".perturbench-site"
MARK = "Written by perturbench-lamin browse. The next call replaces the whole folder.\n"
ASSETS = ("assets", "vendor")


def write_site(
    snapshot: Snapshot, out: Path, *, verify: bool = False, progress: Callable[[int], object] | None = None
) -> Site:
    """Write the site of an instance to a folder.

    It is made beside the folder and put in its place at the end. The same instance gives the same bytes.

    Args:
        snapshot: the instance.
        out: the folder: new, empty, or with an earlier site, which is replaced.
        verify: whether to hash every file, rather than only those that pages show.
        progress: called with the number of pages written so far.

    Raises:
        InputError: the folder holds something else.
    """
    out = out.absolute()
    check_folder(out)
    site = Site(snapshot, file_states(snapshot.artifacts.values(), verify=verify), verified=verify)
    out.parent.mkdir(parents=True, exist_ok=True)
    made = Path(tempfile.mkdtemp(prefix=f".{out.name}.", suffix=".part", dir=out.parent))
    try:
        _write(site, made, progress)
        _swap(made, out)
    except BaseException:
        shutil.rmtree(made, ignore_errors=True)
        raise
    return site


def check_folder(out: Path) -> None:
    """Refuse to replace anything but an earlier site.

    Raises:
        InputError: ``out`` is a file, or a folder that holds something else.
    """
    if out.is_symlink() or (out.exists() and not out.is_dir()):
        raise InputError("Not a folder", where=out, fix="Give --out another name.")
    if out.is_dir() and any(out.iterdir()) and not (out / MARKER).is_file():
        raise InputError(
            "The folder holds something other than an earlier site, which would be lost",
            where=out,
            fix="Give --out a new or an empty folder.",
        )


def _write(site: Site, folder: Path, progress: Callable[[int], object] | None) -> None:
    folder.chmod(0o755)
    for name in ASSETS:
        shutil.copytree(str(files("perturbench_lamin.browse") / name), folder / name)
    (folder / "assets" / "search-index.js").write_text(search_index(site), encoding="utf-8")
    for number, page in enumerate(pages(site), start=1):
        path = folder / page.path
        path.parent.mkdir(exist_ok=True)
        path.write_text(page.html, encoding="utf-8")
        if progress:
            progress(number)
    (folder / MARKER).write_text(MARK, encoding="utf-8")


def _swap(made: Path, out: Path) -> None:
    """Two renames: a reader sees the old site or the new one, but for an instant none."""
    if not out.exists():
        made.rename(out)
        return
    old = made.with_suffix(".old")
    out.rename(old)
    try:
        made.rename(out)
    except BaseException:
        old.rename(out)
        raise
    shutil.rmtree(old, ignore_errors=True)
