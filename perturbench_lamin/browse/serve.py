"""Serve a site to this machine alone."""

from __future__ import annotations

import io
import os
from functools import partial
from http import HTTPStatus
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, BinaryIO

from perturbench_lamin.errors import InputError

LOOPBACK = "127.0.0.1"
NAMES = (LOOPBACK, "localhost")
INDEX = ("index.html", "index.htm")
"""What the server looks for in a folder."""


class Quiet(SimpleHTTPRequestHandler):
    """Serves files without a line for each request; asks browsers to look again for a newer site.

    Requests by another name than this machine's are refused: a page elsewhere could point its own name here to read
    the site (DNS rebinding). Only files that lie in the folder are served: no links, no lists of folders.
    """

    def send_head(self) -> io.BytesIO | BinaryIO | None:
        """The head of the answer, and the file; nothing where the request is refused."""
        port = self.connection.getsockname()[1]
        if self.headers.get("Host", "") not in {f"{name}:{port}" for name in NAMES}:
            self.send_error(HTTPStatus.MISDIRECTED_REQUEST, "Not a name of this server")
            return None
        if not self._is_inside(Path(self.translate_path(self.path))):
            self.send_error(HTTPStatus.NOT_FOUND, "File not found")
            return None
        return super().send_head()

    def list_directory(self, path: str | os.PathLike[str]) -> None:
        """Nothing: pages link to all that there is to read."""
        self.send_error(HTTPStatus.NOT_FOUND, "File not found")

    def _is_inside(self, path: Path) -> bool:
        """Whether a path is one of the folder, without a link on the way; index pages are looked at, too."""
        folder = Path(self.directory).resolve()
        try:
            inner = path.relative_to(self.directory)
        except ValueError:
            return False
        place = folder / inner
        return all(one.resolve() == one for one in (place, *(place / name for name in INDEX)))

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: the terminal shows the address alone."""

    def end_headers(self) -> None:
        """Add the headers that make a browser keep to the declared types and to fresh pages."""
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("Cache-Control", "no-cache")
        super().end_headers()


def server(folder: Path, port: int = 0) -> ThreadingHTTPServer:
    """A server of ``folder`` on loopback, to be run with ``serve_forever``.

    Args:
        folder: the site.
        port: of the address; any free one where 0.

    Raises:
        InputError: the port is taken, or may not be used.
    """
    try:
        return ThreadingHTTPServer((LOOPBACK, port), partial(Quiet, directory=str(folder)))
    except OSError as error:
        raise InputError(
            f"Cannot serve on port {port}: {error.strerror}", where="--port", fix="Give another port, or none."
        ) from error
