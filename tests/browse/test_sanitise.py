from __future__ import annotations

import re

from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_site import PIXEL, REPORT

from perturbench_lamin.browse.sanitise import is_link, sanitise
from perturbench_lamin.evaluation import report_page

PIECES = [
    *("<script>", "</script>", "<img src=x onerror=alert(1)>", '<a href="javascript:x()">', "</a>", "<svg onload=x()>"),
    *(
        "</svg>",
        "<style>",
        "</style>",
        "<!--",
        "-->",
        "<![CDATA[",
        "]]>",
        "<math>",
        "<mtext>",
        "<table>",
        "<p",
        ">",
        '"',
    ),
    *(
        "'",
        '"',
        "<body>",
        "</body>",
        "<iframe srcdoc='<script>x</script>'>",
        "<noscript>",
        "</noscript>",
        "text",
        "\x00",
    ),
    *("&lt;script&gt;", "<template>", "<td style=x>"),
]


def test_pictures_tables_and_text_stay():
    clean = sanitise(REPORT)
    assert f'src="data:image/png;base64,{PIXEL}"' in clean
    assert '<table class="dataframe">' in clean
    assert "A notebook" in clean
    assert "data:image/svg+xml;base64," in clean  # the drawing, now a picture


def test_code_goes():
    clean = sanitise(REPORT)
    for word in (
        "<script",
        "onerror",
        "onload",
        "javascript:",
        "<iframe",
        "<style",
        "style=",
        "<form",
        "<svg",
        "text/html",
        "id=",
    ):
        assert word not in clean.lower().replace("base64", "")
    assert 'class="jp-Cell"' in clean  # "skip" is a class of the site


@given(st.lists(st.sampled_from(PIECES), max_size=12).map("".join))
@settings(max_examples=150, deadline=None)
def test_no_order_of_pieces_gets_through(text):
    clean = sanitise(text)
    tags = re.findall(r"<[^>]*>", clean)
    assert not [tag for tag in tags if re.match(r"(?i)</?(script|style|svg|iframe|math|template|noscript)\b", tag)]
    assert not [tag for tag in tags if re.search(r"(?i)\s(on\w+|style|srcdoc|id)=", tag)]
    assert not [tag for tag in tags if re.search(r"(?i)(href|src)=\"?\s*javascript", tag)]


def test_only_web_addresses_are_links():
    assert is_link("https://doi.org/10.1/x")
    for other in ("javascript:alert(1)", " https://x", "data:text/html,x", "//x.org", 'https://x"onclick=', 5, None):
        assert not is_link(other)


def test_a_report_keeps_its_layout_and_its_links_under_names_of_their_own():
    table = report_page.table(["metric", "model"], [[("rmse", ""), ("0.1\n[0, 1]", "best")]])
    parts = ["<p>First</p>", report_page.section("Scores", report_page.warning("Mind this"), table)]
    clean = sanitise(report_page.page("Report", parts))
    for kept in (
        '<a href="#report-scores" rel="noopener noreferrer">Scores</a>',
        '<h2 id="report-scores">',
        '<div class="report-wide">',
        '<td class="report-best">0.1<small>[0, 1]</small></td>',
        '<div class="report-warning">',
    ):
        assert kept in clean
    assert "<nav>" in clean
    assert "style" not in clean


def test_names_and_links_within_a_page_cannot_reach_those_of_the_site():
    clean = sanitise(
        '<h2 id="search">a</h2><h2 id="x y">b</h2><p id="content">c</p><a href="#content">d</a><a href="#">e</a>'
    )
    assert re.findall(r'id="([^"]*)"', clean) == ["report-search"]
    assert re.findall(r'href="([^"]*)"', clean) == ["#report-content"]
    assert 'class="top' not in sanitise('<div class="top wide report-x">x</div>')
