from __future__ import annotations

import json

import pytest
import tiny
from hypothesis import given
from hypothesis import strategies as st

from perturbench_lamin.chain.notebook import source_digest
from perturbench_lamin.chain.step import Output, Step, fingerprint, in_order, require_parameters
from perturbench_lamin.errors import ChainError


@pytest.fixture
def notebook(tmp_path):
    tiny.write_notebooks(tmp_path)
    return tmp_path / "notebooks" / "tiny" / "make.ipynb"


def test_the_fingerprint_changes_with_all_that_decides_the_result_and_nothing_else(notebook, tmp_path):
    outside = tmp_path / "outside.txt"
    outside.write_text("1")
    step = Step("make", "tiny/make.ipynb", external=(outside,), settings={"work_folder": "here"})
    first = fingerprint(step, notebook, {"a": 1, "b": [1, 2]})
    elsewhere = Step("renamed", "tiny/make.ipynb", external=(outside,), settings={"work_folder": "there"})
    assert fingerprint(elsewhere, notebook, {"b": [1, 2], "a": 1}) == first
    assert fingerprint(step, notebook, {"a": 2, "b": [1, 2]}) != first
    outside.write_text("2")
    assert fingerprint(step, notebook, {"a": 1, "b": [1, 2]}) != first


def test_outputs_and_counters_are_not_part_of_a_notebooks_source_but_tags_and_text_are(notebook):
    first = source_digest(notebook)
    book = json.loads(notebook.read_text())
    book["cells"][1]["execution_count"] = 7
    book["cells"][1]["outputs"] = [{"output_type": "stream", "name": "stdout", "text": ["ran"]}]
    notebook.write_text(json.dumps(book))
    assert source_digest(notebook) == first
    book["cells"][0]["source"] = ["# Another title"]
    notebook.write_text(json.dumps(book))
    assert source_digest(notebook) != first


def test_a_file_that_is_no_notebook_is_named(tmp_path):
    path = tmp_path / "broken.ipynb"
    path.write_text("{")
    with pytest.raises(ChainError, match=r"Not a readable notebook.*broken\.ipynb"):
        source_digest(path)


@given(st.permutations(range(6)))
def test_every_step_comes_after_those_it_needs(order):
    steps = [Step(f"s{i}", "n", inputs={"x": tuple(Output(f"s{j}", "k") for j in range(i))}) for i in range(6)]
    assert [step.name for step in in_order([steps[i] for i in order])] == [f"s{i}" for i in range(6)]


def test_impossible_chains_are_refused():
    with pytest.raises(ChainError, match="in a circle"):
        in_order([Step("a", "n", inputs={"x": Output("b", "k")}), Step("b", "n", inputs={"x": Output("a", "k")})])
    with pytest.raises(ChainError, match=r"needs 'curat'.*\n.*curate"):
        in_order([Step("curate", "n"), Step("train", "n", inputs={"x": Output("curat", "k")})])
    with pytest.raises(ChainError, match="same name"):
        in_order([Step("a", "n"), Step("a", "m")])


def test_a_parameter_that_the_notebook_lacks_is_named(notebook):
    require_parameters(Step("make", "tiny/make.ipynb", {"number": 1}, settings={"source": ""}), notebook)
    with pytest.raises(ChainError, match=r"no parameter 'numbr'.*\n.*number"):
        require_parameters(Step("make", "tiny/make.ipynb", {"numbr": 1}), notebook)
