from __future__ import annotations

import pytest

CURATED = "artifact/curatedcurated000001.html"


@pytest.fixture
def page(browser):
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    opened = context.new_page()
    opened.set_default_timeout(60_000)
    opened.trouble = []
    opened.on("console", lambda message: opened.trouble.append(message.text))
    opened.on("pageerror", lambda error: opened.trouble.append(str(error)))
    opened.on("request", lambda request: None if _is_local(request.url) else opened.trouble.append(request.url))
    yield opened
    context.close()


def _is_local(url):
    return url.startswith(("file:", "data:"))


def _open(page, folder, name):
    page.goto((folder / name).as_uri())
    return page


def test_every_page_opens_quietly_and_runs_nothing_of_the_instance(page, site_folder):
    for path in sorted(site_folder.rglob("*.html")):
        page.goto(path.as_uri())
        assert page.evaluate("window.hacked") is None, path.name
        assert page.trouble == [], path.name


def test_links_lead_to_pages_of_the_site(page, site_folder):
    for path in sorted(site_folder.rglob("*.html")):
        page.goto(path.as_uri())
        for href in page.eval_on_selector_all("a[href]", "links => links.map(link => link.href)"):
            if href.startswith("file:"):
                target = href.removeprefix("file://").partition("#")[0]
                assert (site_folder / target).is_file(), (path.name, href)
            else:
                assert href.startswith("https://"), (path.name, href)


def test_search_finds_and_opens(page, site_folder):
    _open(page, site_folder, "index.html")
    page.keyboard.press("/")
    page.keyboard.type("klf1 k-562")
    page.wait_for_selector("#found [role=option]")
    assert "curated/norman19.h5ad" in page.locator("#found").inner_text()
    page.keyboard.press("Enter")
    page.wait_for_url("**/artifact/curatedcurated000001.html")


def test_search_shows_names_as_text_and_says_when_nothing_is_found(page, site_folder):
    _open(page, site_folder, "index.html")
    page.fill("#search", "hacked")
    page.wait_for_selector("#found [role=option]")
    assert "<script>" in page.locator("#found").inner_text()
    assert page.evaluate("window.hacked") is None
    page.fill("#search", "zzzzzz")
    page.wait_for_selector("#found .none")


def test_graph_draws_all_nodes_and_a_click_opens_one(page, site_folder):
    _open(page, site_folder, CURATED)
    page.wait_for_function("window.lineageGraph !== undefined")
    kinds = page.evaluate("lineageGraph.nodes().map(node => node.data('kind')).sort()")
    assert kinds.count("run") == 6  # ingest, both that made it, train, evaluate, board
    assert set(kinds) == {"raw", "curated", "model", "metrics", "leaderboard", "run"}
    assert page.evaluate("lineageGraph.edges('.again').length") == 1
    at = page.evaluate("lineageGraph.nodes('[kind = \"raw\"]').renderedPosition()")
    box = page.locator(".canvas").bounding_box()
    page.mouse.click(box["x"] + at["x"], box["y"] + at["y"])
    page.wait_for_url("**/artifact/artifact000000000000.html")


def test_graph_is_steered_by_keys(page, site_folder):
    _open(page, site_folder, CURATED)
    page.wait_for_function("window.lineageGraph !== undefined")
    before = page.evaluate("lineageGraph.zoom()")
    page.focus(".canvas")
    page.keyboard.press("+")
    assert page.evaluate("lineageGraph.zoom()") > before
    page.keyboard.press("ArrowRight")
    assert page.locator(".graph .status").inner_text().startswith("Run, completed: train")
    page.keyboard.press("Enter")
    page.wait_for_url("**/run/*.html")


def test_first_tab_skips_to_the_content_and_all_of_the_bar_is_reached(page, site_folder):
    _open(page, site_folder, "index.html")
    reached = []
    for _ in range(8):
        page.keyboard.press("Tab")
        reached.append(page.evaluate("document.activeElement.id || document.activeElement.textContent.trim()"))
    assert reached[0] == "Skip to the content"
    assert {"Datasets", "Leaderboards", "Models", "Artifacts", "Runs", "search"} <= set(reached)


ACCESSIBLE = """() => {
  const problems = [];
  const named = (node) => (node.getAttribute('aria-label') || node.textContent || node.alt || '').trim()
    || (node.labels && node.labels.length);
  if (document.documentElement.lang !== 'en') problems.push('lang');
  for (const tag of ['header', 'nav', 'main', 'footer', 'h1', 'title'])
    document.querySelector(tag) || problems.push(tag);
  document.querySelectorAll('main > h1, main h1:not(.notebook h1)').length === 1 || problems.push('more than one h1');
  document.querySelectorAll('a[href], button, input, [role=region], [role=application]')
    .forEach((node) => named(node) || problems.push('no name: ' + node.outerHTML.slice(0, 80)));
  document.querySelectorAll('img').forEach((node) => node.hasAttribute('alt') || problems.push('no alt'));
  const ids = [...document.querySelectorAll('[id]')].map((node) => node.id);
  if (new Set(ids).size !== ids.length) problems.push('an id twice: ' + ids.sort().join(' '));
  document.querySelectorAll('[aria-labelledby], [aria-describedby], [aria-controls]').forEach((node) => {
    for (const name of ['aria-labelledby', 'aria-describedby', 'aria-controls'])
      if (node.hasAttribute(name) && !document.getElementById(node.getAttribute(name))) problems.push(name);
  });
  document.querySelectorAll('table').forEach((table) => table.matches('.plain, .dataframe')
    || table.querySelector('th[scope]') || problems.push('a table without heads'));
  return problems;
}"""


def test_pages_keep_the_basics_of_accessibility(page, site_folder):
    for path in sorted(site_folder.rglob("*.html")):
        page.goto(path.as_uri())
        assert page.evaluate(ACCESSIBLE) == [], path.name


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_phone_scrolls_in_one_direction_only(browser, site_folder, scheme):
    context = browser.new_context(viewport={"width": 360, "height": 740}, color_scheme=scheme)
    page = context.new_page()
    for path in sorted(site_folder.rglob("*.html")):
        page.goto(path.as_uri())
        assert page.evaluate("document.documentElement.scrollWidth") <= 360, path.name
    context.close()


def test_without_scripts_the_lineage_is_a_table(browser, site_folder):
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto((site_folder / CURATED).as_uri())
    assert page.locator(".steps table").is_visible()
    assert not page.locator(".graph").is_visible()
    assert "again" in page.locator(".steps table").inner_text()
    context.close()
