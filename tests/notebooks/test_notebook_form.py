"""What every notebook of the repository keeps, so that a chain can run it and the lineage can tell it."""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = ("ingestion", "curation", "training", "evaluation")
NOTEBOOKS = sorted(str(path.relative_to(ROOT)) for folder in FOLDERS for path in (ROOT / folder).glob("*.ipynb"))
UNTRACKED = {
    *("raw_folder", "download_folder", "deposited_folder", "work_folder"),
    *("accelerator", "memory", "prefetch"),
}
"""Parameters that do not change the result: where files lie, and what computes."""

UID = re.compile(r"[0-9A-Za-z]{12}")


def cells(name: str) -> list[dict]:
    return json.loads((ROOT / name).read_text(encoding="utf-8"))["cells"]


def code(name: str) -> list[str]:
    return ["".join(cell["source"]) for cell in cells(name) if cell["cell_type"] == "code"]


def calls(name: str, function: str) -> list[ast.Call]:
    """Every call of ``ln.<function>`` in a notebook."""
    lines = ("\n".join(line for line in source.split("\n") if not line.startswith("%")) for source in code(name))
    tree = ast.parse("\n".join(lines))
    return [
        node for node in ast.walk(tree) if isinstance(node, ast.Call) and ast.unparse(node.func) == f"ln.{function}"
    ]


def parameters(name: str) -> set[str]:
    (source,) = ["".join(cell["source"]) for cell in cells(name) if "parameters" in cell["metadata"].get("tags", [])]
    body = ast.parse(source).body
    assert all(isinstance(node, ast.Assign) for node in body), "the parameters cell only sets parameters"
    for node in body:
        ast.literal_eval(node.value)  # papermill and the chain replace plain values
    return {target.id for node in body for target in node.targets}


def test_there_are_two_notebooks_a_dataset():
    from perturbench_lamin.catalog.datasets import DATASETS

    for dataset in DATASETS:
        assert f"ingestion/ingestion_{dataset}.ipynb" in NOTEBOOKS
        assert f"curation/curate_{dataset}.ipynb" in NOTEBOOKS


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_it_begins_with_a_title(name):
    first = cells(name)[0]
    assert first["cell_type"] == "markdown"
    assert re.match(r"# \S", "".join(first["source"]))


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_its_parameters_come_first_and_are_tracked(name):
    assert "parameters" in next(cell for cell in cells(name) if cell["cell_type"] == "code")["metadata"].get("tags", [])
    declared = parameters(name)
    assert "work_folder" in declared
    (track,) = calls(name, "track")
    keywords = {keyword.arg: keyword.value for keyword in track.keywords}
    tracked = keywords["params"]
    assert isinstance(tracked, ast.Dict)
    named = {ast.literal_eval(key): ast.unparse(value) for key, value in zip(tracked.keys, tracked.values, strict=True)}
    assert all(key == value for key, value in named.items()), "each under its own name"
    assert set(named) == declared - UNTRACKED


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_it_is_tracked_under_its_own_path(name):
    (track,) = calls(name, "track")
    keywords = {keyword.arg: keyword.value for keyword in track.keywords}
    assert ast.literal_eval(keywords["key"]) == name
    assert UID.fullmatch(ast.literal_eval(track.args[0]))


def test_no_two_have_one_uid():
    uids = [ast.literal_eval(calls(name, "track")[0].args[0]) for name in NOTEBOOKS]
    assert len(set(uids)) == len(uids)


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_it_ends_with_finish(name):
    assert len(calls(name, "finish")) == 1
    assert cells(name)[-1]["cell_type"] == "code"
    assert code(name)[-1].strip().startswith("ln.finish(")
    assert len(ast.parse(code(name)[-1]).body) == 1


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_it_has_no_outputs(name):
    for cell in cells(name):
        assert not cell.get("outputs")
        assert cell.get("execution_count") is None
    ids = [cell["id"] for cell in cells(name)]
    assert len(set(ids)) == len(ids)


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_tables_come_in_through_their_gates(name):
    """pandas alone takes a condition called NA for a missing value, and rounds numbers."""
    assert not re.search(r"\bpd\.read_|\bto_numeric\b", "\n".join(code(name)))


@pytest.mark.parametrize("name", [name for name in NOTEBOOKS if name.startswith("curation/")])
def test_curation_reads_the_raw_files_that_the_catalog_names(name):
    from perturbench_lamin.catalog.datasets import get_dataset
    from perturbench_lamin.lineage import keys

    dataset = get_dataset(Path(name).stem.removeprefix("curate_"))
    source = next("".join(cell["source"]) for cell in cells(name) if "parameters" in cell["metadata"].get("tags", []))
    values = {node.targets[0].id: node.value for node in ast.parse(source).body if isinstance(node, ast.Assign)}
    assert ast.literal_eval(values["raw"]) == [keys.raw(dataset.name, file.name) for file in dataset.raw_files]
