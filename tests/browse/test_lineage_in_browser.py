"""The lineage graph and reports in a browser, on a screen, a phone and paper."""

from __future__ import annotations

import pytest

LEAST_PIXELS = 11
FITTED = """() => {
  const box = lineageGraph.elements().renderedBoundingBox();
  const canvas = document.querySelector('.canvas'), room = document.querySelector('.room');
  return { pixels: lineageGraph.zoom() * lineageGraph.nodes()[0].numericStyle('font-size'),
    inside: box.x1 >= -1 && box.y1 >= -1 && box.x2 <= canvas.clientWidth + 1 && box.y2 <= canvas.clientHeight + 1,
    scrolls: room.scrollWidth > room.clientWidth, height: canvas.clientHeight,
    labels: lineageGraph.nodes().map((node) => node.data('label')) };
}"""


@pytest.fixture(scope="module")
def site_folder(lamin, tmp_path_factory):
    """The site of a benchmark; its records' uids are kept beside it."""
    from benchmark_site import benchmark_snapshot

    from perturbench_lamin.browse.write import write_site

    snapshot, uids = benchmark_snapshot(tmp_path_factory.mktemp("store"))
    folder = tmp_path_factory.mktemp("written") / "site"
    write_site(snapshot, folder)
    (folder / "uids.txt").write_text("\n".join(f"{name} {uid}" for name, uid in uids.items()))
    return folder


@pytest.fixture
def opened(browser, site_folder):
    """Open a page of the site, by the name of its record, in a window of a size."""
    uids = dict(line.split() for line in (site_folder / "uids.txt").read_text().splitlines())
    contexts = []

    def open_page(record, ending="", width=1280, height=900):
        contexts.append(browser.new_context(viewport={"width": width, "height": height}))
        page = contexts[-1].new_page()
        page.set_default_timeout(60_000)
        page.goto((site_folder / f"artifact/{uids[record]}{ending}.html").as_uri())
        return page

    yield open_page
    for context in contexts:
        context.close()


@pytest.mark.parametrize("width", [1280, 390])
def test_the_whole_way_is_seen_at_once_and_can_be_read(opened, width):
    page = opened("board", width=width)
    page.wait_for_function("window.lineageGraph !== undefined")
    found = page.evaluate(FITTED)
    assert found["pixels"] >= LEAST_PIXELS - 0.01
    assert found["inside"]
    assert not found["scrolls"]
    assert found["height"] <= 900
    labels = {label.replace("\n", "") for label in found["labels"]}
    assert {
        "3 raw files",
        "10 train runs",
        "10 checkpoints",
        "10 metrics",
        "leaderboards/norman19/combine.csv",
    } <= labels


def test_fit_shows_all_and_every_node_can_be_had(opened):
    page = opened("board")
    page.wait_for_function("window.lineageGraph !== undefined")
    page.click("text=Show each")
    assert not page.locator("text=Show each").is_visible()
    found = page.evaluate(FITTED)
    assert len(found["labels"]) == 3 + 2 + 2 + 10 * 4 + 2
    page.click("[data-act=in]")
    page.click("text=Fit")
    found = page.evaluate(FITTED)
    assert found["inside"]
    assert found["pixels"] >= LEAST_PIXELS - 0.01


def test_the_lineage_is_on_paper(opened):
    page = opened("board")
    page.wait_for_function("window.lineageGraph !== undefined")
    page.evaluate("window.dispatchEvent(new Event('beforeprint'))")
    page.emulate_media(media="print")
    assert page.locator(".paper").is_visible()
    assert page.locator(".paper").evaluate("image => image.naturalWidth") > 300
    assert page.locator(".steps table").is_visible()
    assert "metrics/norman19/combine/model_0/seed1.csv" in page.locator(".steps table").inner_text()
    assert not page.locator(".canvas").is_visible()
    page.emulate_media(media="screen")
    page.evaluate("window.dispatchEvent(new Event('afterprint'))")
    assert not page.locator(".steps table").is_visible()


@pytest.mark.parametrize("width", [1280, 390])
def test_a_report_in_the_site_is_as_wide_as_the_window_and_its_words_stay_apart(opened, width):
    page = opened("report", "-page", width=width)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    table = page.locator(".report-wide")
    assert table.evaluate("box => box.scrollWidth > box.clientWidth"), "the table scrolls in its own box"
    assert page.locator(".report-wide td small").first.evaluate("node => getComputedStyle(node).display") == "block"
    page.click("nav >> text=Scores")
    assert page.url.endswith("#report-scores")
