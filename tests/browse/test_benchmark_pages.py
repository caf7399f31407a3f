"""The pages of a benchmark: names that tell, why a run failed, what was done rather than what the catalog says."""

from __future__ import annotations

import re

import pytest

from perturbench_lamin.browse.snapshot import RunRecord, TransformRecord
from perturbench_lamin.browse.words import error_in, registry_title, run_title


@pytest.fixture(scope="module")
def benchmark(lamin, tmp_path_factory):
    """The site's folder, and the uids of some of its records."""
    from benchmark_site import benchmark_snapshot

    from perturbench_lamin.browse.write import write_site

    snapshot, uids = benchmark_snapshot(tmp_path_factory.mktemp("store"))
    folder = tmp_path_factory.mktemp("benchmark") / "site"
    write_site(snapshot, folder)
    return folder, uids


@pytest.fixture(scope="module")
def text(benchmark):
    def read(name):
        return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", (benchmark[0] / name).read_text()))

    return read


def test_runs_are_called_by_dataset_task_model_and_seed(text):
    runs = text("runs.html")
    for name in (
        "train norman19 combine model_0 seed 1",
        "evaluate norman19 combine model_4 seed 2",
        "leaderboard norman19 combine",
        "curate norman19 completed",
        "train norman19 cpa seed 3",
        "chain norman19 combine failed",
    ):
        assert name in runs, name


def test_a_parameter_counts_for_more_than_files():
    run = RunRecord("r", "t", name="by hand")
    transform = TransformRecord("t", "training/train.ipynb", "notebook")
    assert run_title(run, transform, {"dataset": "", "task": "", "model": "", "seed": ""}) == "train by hand"
    assert run_title(run, transform, {"dataset": "d", "seed": "0"}) == "train d seed 0"
    assert run_title(run, None, {}) == "no transform by hand"


def test_a_failed_runs_page_says_why(benchmark, text):
    _, uids = benchmark
    assert "This run failed. InputError: No column &#39;dose&#39; [obs]" in text(f"run/{uids['failed']}.html")
    assert "This run failed. MemoryError: no memory left" in text(f"run/{uids['told']}.html")
    assert "Its error was not recorded" in text(f"run/{uids['chain']}.html")


def test_the_last_error_of_a_page_counts():
    assert (
        error_in("<pre>KeyError: 1\nlamin.errors.InputError: a &lt;b&gt;\n  more</pre>")
        == "lamin.errors.InputError: a <b>"
    )
    assert error_in("<p>KeyboardInterrupt</p>") == "KeyboardInterrupt"
    assert error_in("<p>An Error: in a sentence</p>") == ""


def test_a_chain_that_failed_for_its_runs_is_not_counted_beside_them(text):
    assert "2 failed runs" in text("index.html")
    assert "Failed 2 " in text("runs.html")


def test_datasets_that_are_not_here_come_last(benchmark, lamin, tmp_path):
    from tiny_site import _Maker

    from perturbench_lamin.browse.write import write_site

    make = _Maker(tmp_path)
    make.artifact("curated/own.h5ad", "x")
    write_site(make.snapshot(), tmp_path / "site")
    page = (tmp_path / "site" / "index.html").read_text()
    rows = page.split("<tbody>")[1].split("</tbody>")[0].split("<tr")[1:]
    assert "own" in rows[0]
    assert [("absent" in row) for row in rows] == [False, *[True] * 6]


def test_a_dataset_shows_what_was_done_and_what_the_catalog_says_beside_it(benchmark):
    page = (benchmark[0] / "dataset" / "norman19.html").read_text()
    section = page.split('<h2 id="tasks">')[1].split("</section>")[0]
    rows = [re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", row)) for row in section.split("<tr")[2:]]
    assert re.search(
        r"combine combine max_heldout_fraction = 0.6 catalog: 0.7 7 catalog: 42 splits/ norman19/", rows[0]
    )
    assert all("42 not in this instance" in row and "catalog" not in row for row in rows[1:-1])
    assert "mine" in rows[-1]
    assert " 7 " in rows[-1]


def test_labels_are_called_labels(benchmark, text):
    assert registry_title("ULabel") == "Labels"
    assert registry_title("CellLine") == "Cell lines"
    curated = text(f"artifact/{benchmark[1]['curated']}.html")
    assert "Labels 1 combo" in curated.replace("&nbsp;", " ")
    assert "Ulabels" not in curated


def test_one_thing_is_in_the_singular(text):
    index = text("index.html")
    assert "5 models" in index
    assert not re.search(r"\b1 (runs|models|artifacts|files|failed runs)\b", index + text("runs.html"))
