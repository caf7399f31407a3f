"""The report, and the figure of distributions."""

import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest
from anndata import AnnData
from evaluation_cells import KEYS, make_cells

from perturbench_lamin.errors import InputError
from perturbench_lamin.evaluation.baselines import PREFIX
from perturbench_lamin.evaluation.bootstrap import DEFAULT
from perturbench_lamin.evaluation.calibration import calibrate
from perturbench_lamin.evaluation.distributions import colours, metric_distributions, short
from perturbench_lamin.evaluation.evaluate import evaluate
from perturbench_lamin.evaluation.profiles import Profile
from perturbench_lamin.evaluation.report import scale, write_report
from perturbench_lamin.evaluation.report_figures import lines, markers
from perturbench_lamin.evaluation.report_verdict import verdict

EVIL = "<script>alert('x')</script> & $x_1$"
PROFILE = Profile("own", ("rmse_average", "rmse_average_rank", "pearson_delta_control", "nonadditive_recall"))


class Page(HTMLParser):
    """Collects tags, text and sources."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.texts, self.sources = [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.sources += [value for name, value in attributes if name in ("src", "href")]

    def handle_data(self, data):
        self.texts.append(data)


@pytest.fixture(scope="module")
def result():
    truth, good = make_cells(0, cells=12, genes=30), make_cells(0, cells=12, genes=30)
    good.X = (good.X * 0.8).tocsr()
    constant = AnnData(np.full(truth.shape, 0.3), obs=truth.obs, var=truth.var)
    return truth, evaluate(truth, {EVIL: good, "constant": constant}, KEYS, PROFILE, baselines=True)


@pytest.fixture(scope="module")
def report(result, tmp_path_factory):
    truth, evaluation = result
    path = tmp_path_factory.mktemp("report") / "report.html"
    calibration = calibrate(truth, KEYS, PROFILE)
    write_report(evaluation, path, calibration=calibration, title=EVIL)
    return path, calibration


def test_is_self_contained_and_escaped(report):
    text = report[0].read_text(encoding="utf-8")
    page = Page(text)
    assert "script" not in page.tags
    assert "link" not in page.tags
    assert page.sources
    assert all(source.startswith(("data:image/", "#")) for source in page.sources)
    names = re.findall(r' id="([^"]+)"', text)
    assert len(set(names)) == len(names)
    assert {source[1:] for source in page.sources if source.startswith("#")} == set(names)
    assert not re.search(r"https?://", re.sub(r'src="data:[^"]*"', "", text))
    assert EVIL in "".join(page.texts)


def test_has_all_parts_and_warns_in_plain_words(report):
    text = "\n".join(Page(report[0].read_text(encoding="utf-8")).texts)
    for part in (
        "In short",
        "Scores",
        "Can the metrics tell?",
        "Differences",
        "Distribution",
        "Rank curves",
        "effects",
        "Notes",
    ):
        assert part in text, part
    assert "constant predicts the same for every perturbation" in text
    assert "not known, since a control is undefined in them: nonadditive_recall" in text
    pictures = [source for source in Page(report[0].read_text(encoding="utf-8")).sources if source.startswith("data:")]
    assert len(pictures) == 6  # two models' effects among them


def test_the_same_results_give_the_same_bytes(result, report, tmp_path):
    again = write_report(result[1], tmp_path / "again.html", calibration=report[1], title=EVIL)
    assert again.read_bytes() == report[0].read_bytes()


def test_without_calibration_and_baselines_it_says_so(result, tmp_path):
    truth, _ = result
    alone = evaluate(truth, {"m": truth}, KEYS, "minimal")
    text = "\n".join(Page(write_report(alone, tmp_path / "r.html").read_text(encoding="utf-8")).texts)
    assert "There is no calibration" in text
    assert "There are no baselines" in text
    assert "There is one model only." in text


@pytest.fixture(scope="module")
def lonely(result, tmp_path_factory):
    """The report of one model that is worse than all baselines, without anything to warn of."""
    truth, _ = result
    bad = AnnData(np.random.default_rng(3).random(truth.shape) * 9, obs=truth.obs, var=truth.var)
    evaluation = evaluate(truth, {"bad": bad}, KEYS, PROFILE, baselines=True)
    controls = calibrate(truth, KEYS, PROFILE)
    text = write_report(evaluation, tmp_path_factory.mktemp("one") / "r.html", calibration=controls).read_text("utf-8")
    return evaluation, controls, text


def test_bold_is_the_best_of_all_shown(lonely):
    evaluation, _, text = lonely
    scores = text[text.index('<h2 id="scores">') : text.index("</table>", text.index('<h2 id="scores">'))]
    models = list(dict.fromkeys(evaluation.table["model"]))
    row = next(line for line in scores.splitlines() if ">rmse_average ↓<" in line)
    cells = re.findall(r'<td class="([^"]*)">', row)[2 : 2 + len(models)]
    means = evaluation.summary().query("metric == 'rmse_average'").set_index("model")["mean"]
    assert [model for model, kind in zip(models, cells, strict=True) if kind == "best"] == [means.idxmin()]
    assert means.idxmin() != "bad"
    assert "baselines among them" in scores


def test_a_baseline_that_wins_is_named_beside_one_model(lonely):
    evaluation, controls, _ = lonely
    first = next(verdict(evaluation, controls.summary(), DEFAULT))
    assert re.search(r": baseline: perturbation mean in \d, bad in \d; ties", first)


def test_numbers_agree_with_their_nouns_and_no_section_is_empty(lonely):
    text = re.sub(r'src="data:[^"]*"', "", lonely[2])
    assert re.search(r"\b1 model and [2-9] baselines, ", text)
    assert not re.search(r"\b1 (models|baselines|metrics|conditions|covariate states)\b", text)
    sections = re.split(r"<h2 [^>]*>", text)[1:]
    assert all(Page(part.partition("</h2>")[2]).tags or part.partition("</h2>")[2].strip() for part in sections)
    assert all(re.search(r"<(p|table|div|img)", part) for part in sections)


def test_sections_without_anything_to_say_are_left_out(result, tmp_path):
    truth, _ = result
    alone = evaluate(truth, {"m": truth}, KEYS, "minimal")
    text = write_report(alone, tmp_path / "r.html").read_text("utf-8")
    assert "In short" not in text
    assert "None." not in text
    calm = write_report(alone, tmp_path / "r.html", calibration=calibrate(truth, KEYS, "minimal")).read_text("utf-8")
    assert ("Read this first" in calm) == ('class="warning"' in calm)


def test_baselines_are_told_apart_by_grey_marker_and_line():
    models = ["m", *(f"{PREFIX}{name}" for name in ("a", "b", "c", "d"))]
    for chosen in (colours(models), markers(models), lines(models)):
        assert len(set(chosen.values())) == 5
        assert chosen["m"] in ("C0", "o", "-")


def test_the_controls_are_at_the_ends_of_the_scale(result, report):
    summary = report[1].summary()
    places = scale(result[1], summary).set_index(["model", "metric"])["position"]
    row = summary.set_index("metric").loc["rmse_average"]
    mean = result[1].summary().set_index(["model", "metric"])["mean"][EVIL, "rmse_average"]
    assert places[EVIL, "rmse_average"] == pytest.approx((mean - row["negative"]) / (row["positive"] - row["negative"]))


def test_a_metric_without_a_calibration_is_refused_and_keeps_its_row(result, report, tmp_path):
    evaluation, calibration = result[1], report[1]
    first = calibration.table["metric"].iloc[0]
    poorer = replace(calibration, table=calibration.table[calibration.table["metric"] != first])
    with pytest.raises(InputError, match=f"The calibration lacks {first}"):
        write_report(evaluation, tmp_path / "report.html", calibration=poorer)
    places = scale(evaluation, poorer.summary()).set_index("metric")["position"]
    assert places[first].isna().all()


def test_distributions_draw_every_defined_value(result):
    table = result[1].table
    figure = metric_distributions(table, ["rmse_average", "nonadditive_recall"])
    panels = [panel for panel in figure.axes if panel.get_visible()]
    assert [panel.get_title() for panel in panels] == ["rmse_average", "nonadditive_recall (40 undefined)"]
    drawn = [line.get_xdata() for line in panels[0].lines if line.get_marker() == "."]
    expected = [
        np.sort(rows["value"]) for _, rows in table[table["metric"] == "rmse_average"].groupby("model", sort=False)
    ]
    np.testing.assert_allclose(drawn, expected)
    assert len(metric_distributions(table).axes) == 4


def test_names_on_axes_are_no_mathematics():
    assert short("$a_b$ c") == r"\$a_b\$ c"
    assert len(short("x" * 60)) <= 24


def test_the_verdict_counts_wins_and_sure_differences(result, report):
    evaluation, controls = result[1], report[1].summary()
    sentences = list(verdict(evaluation, controls, DEFAULT))
    n = int(controls["can_rank"].sum())
    assert n == 3
    assert sentences[0] == (
        f"Best model, by 3 metrics that can rank models here (of 4): {EVIL} in 3, constant in 0; ties count for each."
    )
    mine, constant = sentences[1:]
    assert mine.startswith(f"{EVIL} against the perturbation mean: better in")
    assert "worse in 0" in mine
    assert "better in 0" in constant
    none = controls.assign(can_rank=False)
    assert list(verdict(evaluation, none, DEFAULT)) == [
        "No metric of this profile can rank models on these data: no model is better than another."
    ]
    alone = evaluate(result[0], {"m": result[0]}, KEYS, "minimal")
    assert list(verdict(alone, None, DEFAULT)) == []
