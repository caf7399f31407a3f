from __future__ import annotations

import filecmp
import re
import shutil
from dataclasses import replace
from types import SimpleNamespace

import pytest

from perturbench_lamin.browse.files_state import FileState, file_states
from perturbench_lamin.browse.neighbourhood import Lineage, neighbourhood
from perturbench_lamin.browse.site import page_name
from perturbench_lamin.browse.snapshot import ArtifactRecord, RunRecord, Snapshot
from perturbench_lamin.browse.write import MARKER, write_site
from perturbench_lamin.errors import InputError


def _text(folder, name):
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", (folder / name).read_text()))


def _uid(snapshot, ending):
    return next(one.uid for one in snapshot.artifacts.values() if one.key.endswith(ending))


def test_front_page_lists_the_six_datasets_and_greys_those_that_are_not_here(site_folder):
    page = (site_folder / "index.html").read_text()
    rows = page.split("<tbody>")[1].split("</tbody>")[0].split("<tr")[1:]
    assert len(rows) == 6
    assert [("absent" in row) for row in rows] == [False, True, True, True, True, True]
    assert "12,345" in rows[0]
    assert "simulated" in rows[0]
    assert "1,628,476" in rows[4]


def test_the_command_for_a_dataset_that_is_not_here_names_the_instance(site_folder, tiny):
    text = _text(site_folder, "dataset/frangieh21.html")
    assert f"perturbench-lamin run frangieh21 --instance {tiny.name}" in text


def test_an_artifacts_page_tells_what_is_known_of_it(site_folder):
    text = _text(site_folder, "artifact/curatedcurated000001.html")
    for told in ("CVCL_0004", "KLF1 CRISPRa", "curatedcurated000000", "Made again by", "AnnData", "cell_line"):
        assert told in text


def test_split_counts_are_shown(site_folder, tiny):
    text = _text(site_folder, f"artifact/{_uid(tiny, 'combine.csv')}.html")
    assert "700 70.0 %" in text
    assert "200 20.0 %" in text


def test_gone_and_altered_files_are_shown_as_such_and_their_content_is_not(site_folder, tiny):
    gone, altered = _uid(tiny, "gone.csv"), _uid(tiny, "altered.csv")
    assert "The file is gone" in _text(site_folder, f"artifact/{gone}.html")
    page = _text(site_folder, f"artifact/{altered}.html")
    assert "The file was altered since it was registered" in page
    assert "The first 1" not in page
    assert "2 files gone or altered" in _text(site_folder, "index.html")


def test_a_failed_run_is_shown_as_failed_and_one_without_transform_works(site_folder):
    assert "This run failed" in _text(site_folder, "run/run0000000000007.html")
    orphan = _text(site_folder, "run/run0000000000008.html")
    assert "no transform" in orphan
    assert "not finished" in orphan
    assert "LaminDB keeps no source of it" in _text(site_folder, "source/code000board0000.html")


def test_a_runs_parameters_are_shown_whole_and_artifacts_among_them_are_links(site_folder):
    page = (site_folder / "run/run0000000000001.html").read_text()
    assert "{&#34;lr&#34;: 0.25}" in page
    assert 'href="../artifact/artifact000000000000.html"' in page.split(">Parameters<")[1].split("</section>")[0]


def test_a_models_metrics_come_by_the_lineage(site_folder):
    assert "0.125" in _text(site_folder, "model/linear.html")


def test_a_leaderboard_orders_models_by_place_and_leaves_undefined_ones_without_a_dot(site_folder, tiny):
    page = (site_folder / f"artifact/{_uid(tiny, 'leaderboards/norman19/combine.csv')}.html").read_text()
    panel = page.split('<table class="dots">')[1].split("</table>")[0]
    assert re.findall(r'<th scope="row">(.*?)</th>', panel) == ["linear", "additive", "broken"]
    assert panel.count('class="mean"') == 2
    assert panel.count('class="sd"') == 1
    assert "undefined" in panel


def test_a_board_without_a_profile_is_a_panel_of_its_own(tmp_path):
    from perturbench_lamin.browse.boards import panels_of
    from perturbench_lamin.browse.files_state import FileState

    path = tmp_path / "board.csv"
    head = "split,profile,metric,model,mean,sd,n_seeds,place\n"
    path.write_text(head + "test,perturbench,rmse_average,linear,0.2,,1,1\n,,rmse_average,NA,0.1,,1,1\n")
    found = panels_of(SimpleNamespace(path=path), FileState.VERIFIED)
    assert [(panel.board, [dot.model for dot in panel.dots]) for panel in found] == [
        ("– · –", ["NA"]),
        ("test · perturbench", ["linear"]),
    ]


def test_the_same_instance_gives_the_same_bytes(tiny, site_folder, tmp_path):
    write_site(tiny, tmp_path / "again", verify=True)
    paths = [path.relative_to(site_folder) for path in sorted(site_folder.rglob("*")) if path.is_file()]
    assert paths == [p.relative_to(tmp_path / "again") for p in sorted((tmp_path / "again").rglob("*")) if p.is_file()]
    assert filecmp.cmpfiles(site_folder, tmp_path / "again", paths, shallow=False)[1:] == ([], [])


def test_an_earlier_site_is_replaced_whole(tiny, tmp_path):
    write_site(tiny, tmp_path / "site")
    stale = tmp_path / "site" / "artifact" / "stale.html"
    stale.write_text("old")
    write_site(tiny, tmp_path / "site")
    assert not stale.exists()
    assert [path.name for path in tmp_path.iterdir()] == ["site"]


def test_a_folder_with_something_else_is_refused_and_stays(tiny, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years")
    with pytest.raises(InputError, match="other than an earlier site"):
        write_site(tiny, tmp_path / "mine")
    assert (tmp_path / "mine" / "thesis.txt").read_text() == "years"
    (tmp_path / "file").write_text("x")
    with pytest.raises(InputError, match="Not a folder"):
        write_site(tiny, tmp_path / "file")


def test_an_interrupted_write_leaves_the_earlier_site(tiny, tmp_path):
    write_site(tiny, tmp_path / "site")

    def stop(number):
        if number == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_site(tiny, tmp_path / "site", progress=stop)
    assert (tmp_path / "site" / MARKER).is_file()
    assert [path.name for path in tmp_path.iterdir()] == ["site"]


def test_an_empty_instance_has_a_site(tmp_path):
    write_site(Snapshot("owner/empty"), tmp_path / "site")
    assert "no artifacts yet" in _text(tmp_path / "site", "artifacts.html")


def test_content_is_hashed_where_it_is_shown_or_asked_for(tmp_path, tiny):
    shown, hidden = tiny.artifacts[_uid(tiny, "combine.csv")], tiny.artifacts[_uid(tiny, "best.ckpt")]
    states = file_states([shown, hidden], verify=False)
    assert list(states.values()) == [FileState.VERIFIED, FileState.PRESENT]
    copy = tmp_path / "best.ckpt"
    shutil.copyfile(hidden.path, copy)
    copy.write_bytes(copy.read_bytes()[::-1])
    moved = replace(hidden, path=copy)
    assert list(file_states([moved], verify=False).values()) == [FileState.PRESENT]
    assert list(file_states([moved], verify=True).values()) == [FileState.ALTERED]
    copy.write_bytes(b"longer than before")
    assert list(file_states([moved], verify=False).values()) == [FileState.ALTERED]
    assert list(file_states([replace(hidden, path=None)], verify=True).values()) == [FileState.REMOTE]


def test_a_large_lineage_is_cut_to_the_nearest_nodes_and_says_so():
    artifacts = {f"a{i}": ArtifactRecord(f"a{i}") for i in range(50)}
    runs = {f"r{i}": RunRecord(f"r{i}", "", inputs=(f"a{i}",), outputs=(f"a{i + 1}",)) for i in range(49)}
    lineage = Lineage.of(Snapshot("x", artifacts, runs))
    near = neighbourhood(lineage, "a25", most=5)
    assert near.artifacts == ("a23", "a24", "a25", "a26", "a27")
    assert near.runs == ("r23", "r24", "r25", "r26")
    assert near.left_out == 2
    whole = neighbourhood(lineage, "a25", most=1000)
    assert (len(whole.artifacts), len(whole.runs), whole.left_out) == (50, 49, 0)


def test_page_names_cannot_leave_their_folder_nor_collide():
    assert page_name("linear_2-x") == "linear_2-x"
    assert not re.search(r"[^\w-]", page_name("../../etc/passwd"))
    assert page_name("a/b") != page_name("a?b")
