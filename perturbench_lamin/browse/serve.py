"""Serve a site to this machine alone."""

from __future__ import annotations

from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from perturbench_lamin.errors import InputError

LOOPBACK = "127.0.0.1"


class Quiet(SimpleHTTPRequestHandler):
    """Serves files without a line for each request; asks browsers to look again for a newer site."""

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
