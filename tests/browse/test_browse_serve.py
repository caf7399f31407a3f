"""The server of a site: this machine's own names, and files of the folder alone."""

from __future__ import annotations

import http.client
from threading import Thread

import pytest

from perturbench_lamin.browse.serve import server


@pytest.fixture
def asked(tmp_path):
    """Ask the server of a small site for a path; the status and the content of the answer."""
    site = tmp_path / "site"
    (site / "artifact").mkdir(parents=True)
    (site / "linked").mkdir()
    (site / "index.html").write_text("hello")
    (site / "artifact" / "one.html").write_text("one")
    (tmp_path / "secret.txt").write_text("secret")
    (tmp_path / "private").mkdir()
    (tmp_path / "private" / "index.html").write_text("secret")
    (site / "link.txt").symlink_to(tmp_path / "secret.txt")
    (site / "folder").symlink_to(tmp_path / "private")
    (site / "inner.html").symlink_to(site / "index.html")
    (site / "linked" / "index.html").symlink_to(tmp_path / "secret.txt")
    (tmp_path / "by-link").symlink_to(site)
    with server(tmp_path / "by-link") as running:
        thread = Thread(target=running.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        port = running.server_address[1]

        def ask(path, host=None, method="GET"):
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
            connection.putrequest(method, path, skip_host=True)
            if host is not False:
                connection.putheader("Host", (host or "127.0.0.1:{port}").format(port=port))
            connection.endheaders()
            answer = connection.getresponse()
            found = answer.status, answer.read()
            connection.close()
            return found

        yield ask
        running.shutdown()
        thread.join()


@pytest.mark.parametrize("host", ["127.0.0.1:{port}", "localhost:{port}"])
def test_its_own_names_are_served(asked, host):
    assert asked("/", host) == (200, b"hello")
    assert asked("/artifact/one.html?x=1", host) == (200, b"one")


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize(
    "host",
    ["evil.example", "evil.example:{port}", "127.0.0.1", "127.0.0.1:1", "127.0.0.1.evil.example:{port}", "", False],
)
def test_other_names_are_refused(asked, host, method):
    """A page elsewhere that has its own name lead here must not read the site."""
    status, said = asked("/index.html", host if host != "" else " ", method)
    assert status == 421
    assert b"hello" not in said


@pytest.mark.parametrize("path", ["/link.txt", "/folder/", "/folder/index.html", "/inner.html", "/linked/"])
def test_links_are_not_followed(asked, path):
    status, said = asked(path)
    assert (status, b"secret" in said, b"hello" in said) == (404, False, False)


@pytest.mark.parametrize(
    "path",
    ["/../secret.txt", "/%2e%2e/secret.txt", "/artifact/..%2f..%2fsecret.txt", "//etc/passwd", "/artifact/", "/none"],
)
def test_nothing_outside_and_no_list_is_served(asked, path):
    status, said = asked(path)
    assert status == 404
    assert b"secret" not in said
    assert b"one.html" not in said
