"""An archive on this machine that misbehaves on demand."""

from __future__ import annotations

import threading
from collections import deque
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest


class Archive:
    """One file over HTTP/1.1, with Range and If-Range; ``faults`` says what goes wrong with the next requests.

    A fault is a status (503, 404), ``("drop", n)`` (the whole length is announced, the connection ends after n bytes)
    or ``("silent", n)`` (no length is announced and n bytes come).
    """

    def __init__(self, content: bytes) -> None:
        self.content, self.etag, self.ranges, self.if_range = content, '"v1"', True, True
        self.last_modified: str | None = None
        self.faults: deque = deque()
        self.requests: list[str | None] = []
        self.encodings: set[str | None] = set()
        self.lock = threading.Lock()
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.server.daemon_threads = False
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02})

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_port}/file"

    def _handler(archive):  # noqa: N805
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                archive.answer(self)

            def log_message(self, *_):
                pass

        return Handler

    def answer(self, handler) -> None:
        with self.lock:
            self.requests.append(handler.headers.get("Range"))
            self.encodings.add(handler.headers.get("Accept-Encoding"))
            fault = self.faults.popleft() if self.faults else None
        if isinstance(fault, int):
            handler.send_response(fault)
            handler.send_header("Content-Length", "0")
            handler.end_headers()
            return
        start = self._start(handler)
        body = self.content[start:]
        handler.send_response(206 if start else 200)
        if start:
            handler.send_header("Content-Range", f"bytes {start}-{len(self.content) - 1}/{len(self.content)}")
        if self.etag:
            handler.send_header("ETag", self.etag)
        if self.last_modified:
            handler.send_header("Last-Modified", self.last_modified)
        kind, n = fault or ("whole", len(body))
        if kind != "silent":
            handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body[:n])
        handler.close_connection = True

    def _start(self, handler) -> int:
        asked = handler.headers.get("Range")
        if asked is None or not self.ranges:
            return 0
        if self.if_range and handler.headers.get("If-Range") not in (self.etag, self.last_modified):
            return 0
        return int(asked.removeprefix("bytes=").rstrip("-"))


@pytest.fixture
def archive(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    found = Archive(bytes(range(256)) * 2000)
    found.thread.start()
    yield found
    found.server.shutdown()
    found.server.server_close()
    found.thread.join()
