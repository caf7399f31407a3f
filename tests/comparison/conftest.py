"""The hub's layout on this machine: one data set repository with a few files."""

from __future__ import annotations

import hashlib
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

COMMIT = "0123456789abcdef0123456789abcdef01234567"


class Hub:
    """``/datasets/<repository>/resolve/<revision>/<file>``; ``main`` is at ``commit``, older commits are kept."""

    def __init__(self) -> None:
        self.commit, self.files, self.requests = COMMIT, {COMMIT: {}}, []
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02})

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_port}"

    def _handler(hub):  # noqa: N805
        class Handler(BaseHTTPRequestHandler):
            def do_HEAD(self):
                hub.answer(self, body=False)

            def do_GET(self):
                hub.answer(self, body=True)

            def log_message(self, *_):
                pass

        return Handler

    def answer(self, handler, *, body: bool) -> None:
        self.requests.append((handler.command, handler.path))
        parts = handler.path.split("/")
        revision, name = (parts[5], parts[6]) if parts[4:5] == ["resolve"] else ("", "")
        commit = self.commit if revision == "main" else revision
        content = self.files.get(commit, {}).get(name)
        if content is None:
            handler.send_response(404)
            handler.send_header("X-Error-Code", "EntryNotFound" if commit in self.files else "RevisionNotFound")
            handler.send_header("Content-Length", "0")
            handler.end_headers()
            return
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(content)))
        handler.send_header("ETag", f'"{hashlib.sha256(content).hexdigest()}"')
        handler.send_header("X-Repo-Commit", commit)
        handler.end_headers()
        if body:
            handler.wfile.write(content)


@pytest.fixture
def hub(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    found = Hub()
    monkeypatch.setenv("HF_ENDPOINT", found.url)
    found.thread.start()
    yield found
    found.server.shutdown()
    found.server.server_close()
    found.thread.join()
