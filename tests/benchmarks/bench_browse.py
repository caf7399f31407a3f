"""The site of an instance with 2,000 artifacts: how long it takes to write, and to open its pages in a browser."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
PAGES = ("index.html", "artifacts.html", "runs.html", "models.html", "artifact/*.html", "run/*.html")
READY = "() => !document.querySelector('.graph') || window.lineageGraph !== undefined"


def measure(n_artifacts: int = 2000) -> list[dict[str, Any]]:
    """Rows: writing with and without hashing every file, and opening pages."""
    with tempfile.TemporaryDirectory() as folder:
        return _measure(Path(folder), n_artifacts)


def _measure(folder: Path, n_artifacts: int) -> list[dict[str, Any]]:
    os.environ["LAMIN_SETTINGS_DIR"], os.environ["LAMIN_CACHE_DIR"] = str(folder / "settings"), str(folder / "cache")
    (folder / "cache").mkdir()
    from perturbench_lamin.lineage.instance import local_instance

    local_instance(folder / "work").connect()
    import lamindb
    import many_artifacts

    many_artifacts.register(lamindb, n_artifacts)
    from perturbench_lamin.browse.read_instance import read_instance
    from perturbench_lamin.browse.write import write_site

    start = time.perf_counter()
    snapshot = read_instance()
    read = time.perf_counter() - start
    rows = []
    for verify in (False, True):
        start = time.perf_counter()
        site = write_site(snapshot, folder / "site", verify=verify)
        seconds = read + time.perf_counter() - start
        what = "write, every file hashed" if verify else "write"
        rows.append({"what": what, "artifacts": len(site.data), "runs": len(snapshot.runs), "seconds": seconds})
    return rows + _opened(folder / "site")


def _opened(site: Path) -> list[dict[str, Any]]:
    browser = next((found for found in map(shutil.which, BROWSERS) if found), None)
    if browser is None:
        return []
    from playwright.sync_api import sync_playwright

    rows = []
    with sync_playwright() as play:
        opened = play.chromium.launch(executable_path=browser, args=["--no-sandbox"])
        for pattern in PAGES:
            path = max(site.glob(pattern), key=lambda one: one.stat().st_size)
            seconds = []
            for _ in range(3):
                page = opened.new_page()
                start = time.perf_counter()
                page.goto(path.as_uri())
                page.wait_for_function(READY)
                seconds.append(time.perf_counter() - start)
                page.close()
            what = f"open the largest {pattern}"
            rows.append({"what": what, "seconds": median(seconds), "kB": path.stat().st_size // 1000})
        opened.close()
    return rows


if __name__ == "__main__":
    for row in measure():
        print(row)
