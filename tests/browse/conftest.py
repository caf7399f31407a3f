"""A small site and a real browser, each made once."""

from __future__ import annotations

import shutil

import pytest

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


@pytest.fixture(scope="module")
def tiny(lamin, tmp_path_factory):
    """The records of a small instance. Hashes are LaminDB's, whose first import must find the tests' instance."""
    from tiny_site import tiny_snapshot

    return tiny_snapshot(tmp_path_factory.mktemp("store"))


@pytest.fixture(scope="module")
def site_folder(tiny, tmp_path_factory):
    """Its site, with every file verified."""
    from perturbench_lamin.browse.write import write_site

    folder = tmp_path_factory.mktemp("written") / "site"
    write_site(tiny, folder, verify=True)
    return folder


@pytest.fixture(scope="module")
def browser(site_folder):
    """A headless Chromium; tests skip where there is none.

    Until it is closed, an event loop runs in this thread, in which Django refuses to work: the site is made before.
    """
    playwright = pytest.importorskip("playwright.sync_api")
    found = next((path for path in map(shutil.which, BROWSERS) if path), None)
    if found is None:
        pytest.skip("needs Chromium or Chrome")
    with playwright.sync_playwright() as play:
        opened = play.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield opened
        opened.close()
