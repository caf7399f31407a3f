"""The content of small files, to be shown on their pages."""

from __future__ import annotations

import base64
import csv
import io
from dataclasses import dataclass

from perturbench_lamin.browse.files_state import FileState, is_shown
from perturbench_lamin.browse.sanitise import sanitise
from perturbench_lamin.browse.snapshot import ArtifactRecord

ROWS, LINES, LINE_CHARACTERS = 12, 200, 400
PICTURES = {".png": "png", ".jpg": "jpeg", ".jpeg": "jpeg", ".svg": "svg+xml"}


@dataclass(frozen=True)
class Content:
    """What a page shows of a file; one of these is filled.

    Attributes:
        rows: the first rows of a table.
        n_rows: how many rows it has in all.
        text: the first lines of a text.
        picture: an address with the picture in it.
        page: sanitised HTML, for a page of its own.
        is_cut: whether there is more than is shown.
    """

    rows: tuple[tuple[str, ...], ...] = ()
    n_rows: int = 0
    text: str = ""
    picture: str = ""
    page: str = ""
    is_cut: bool = False


def content_of(artifact: ArtifactRecord, state: FileState) -> Content | None:
    """The content of a file that is as it was registered and small enough to show; None for any other."""
    if state is not FileState.VERIFIED or artifact.path is None or not is_shown(artifact) or artifact.path.is_dir():
        return None
    data = artifact.path.read_bytes()
    if artifact.suffix in PICTURES:
        return Content(picture=f"data:image/{PICTURES[artifact.suffix]};base64,{base64.b64encode(data).decode()}")
    text = data.decode("utf-8", errors="replace")
    if artifact.suffix == ".html":
        return Content(page=sanitise(text))
    return _table(text) if artifact.suffix == ".csv" else _text(text)


def _table(text: str) -> Content:
    head = "\n".join(text.split("\n", ROWS + 1)[: ROWS + 1])
    n_rows = text.count("\n") + (not text.endswith("\n"))
    try:
        rows = tuple(tuple(row) for row in csv.reader(io.StringIO(head)))[:ROWS]
    except csv.Error:
        return _text(text)
    return Content(rows=rows, n_rows=n_rows, is_cut=n_rows > len(rows))


def _text(text: str) -> Content:
    lines = text.splitlines()
    shown = [line[:LINE_CHARACTERS] for line in lines[:LINES]]
    return Content(text="\n".join(shown), is_cut=shown != lines)
