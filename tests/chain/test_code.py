"""Which files a notebook's code is in, and when their digest changes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import tiny

from perturbench_lamin.catalog import outside
from perturbench_lamin.chain.code import CodeFiles, Finder, code_of, reached, total
from perturbench_lamin.chain.module import parse
from perturbench_lamin.chain.step import Step, fingerprint

CHECKOUT = Path(__file__).resolve().parents[2]


@pytest.fixture
def tree(tmp_path):
    """Write files of a package ``pkg``; return what some code reaches of it, without the package's own prefix."""

    def write(**files):
        for name, text in files.items():
            path = tmp_path / "pkg" / name.replace("__slash__", "/")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)

    def names(source, *words):
        found = reached([source], Finder({"pkg": tmp_path}), frozenset(words))
        return {name.removeprefix("pkg.") for name in found.paths} - {"pkg"}

    write(**{"__init__.py": "", "a.py": "", "b.py": "", "c.py": "", "room/__init__.py": "", "room/d.py": ""})
    return lambda **files: write(**files) or names


def test_imports_are_followed_at_any_depth_but_not_those_for_type_checkers(tree):
    names = tree(
        **{
            "a.py": "import typing\nif typing.TYPE_CHECKING:\n    from pkg import c\nelse:\n    import pkg.b\n",
            "b.py": "def f():\n    class C:\n        from .room.d import x\n",
        }
    )
    assert names("from pkg.a import g") == {"a", "b", "room", "room.d"}
    assert names("import pkg.c as other\nother.x") == {"c"}
    assert names("try:\n    from pkg import a\nexcept ImportError:\n    pass") == {"a", "b", "room", "room.d"}


def test_a_parent_packages_own_code_counts(tree):
    names = tree(**{"room/__init__.py": "from pkg import c"})
    assert names("from pkg.room import d") == {"room", "room.d", "c"}


@pytest.mark.parametrize(
    "table",
    [
        'LAZY = {"fit": "pkg.a", "score": "pkg.b"}',
        'LAZY = {"fit": ".a:fit", "score": ".b:score"}',
        'LAZY = {"fit": ("a", "fit"), "score": ("b", "score")}',
        'LAZY = {"pkg.a": ["fit"], "pkg.b": ["score"]}',
    ],
)
def test_a_lazy_export_counts_when_it_is_asked_for_by_name(tree, table):
    body = "import importlib\n\ndef __getattr__(name):\n    return importlib.import_module(LAZY[name])\n"
    names = tree(**{"__init__.py": f"{table}\n{body}"})
    assert names("from pkg import fit") == {"a"}
    assert names("import pkg\npkg.score(1)") == {"b"}
    assert names("import pkg as p\np.room.d.x") == {"room", "room.d"}
    assert names("from pkg import c") == {"c"}, "what asks for no export reaches none"
    assert names("import pkg\nwhatever(pkg)") == {"a", "b"}, "who knows what is asked for"
    assert names("from pkg import *") == {"a", "b"}


def test_of_modules_imported_by_name_those_count_that_the_parameters_name(tree):
    registry = 'from importlib import import_module\nMODELS = {"a": "A", "d": "D"}\nimport_module(f"{__package__}.{x}")'
    names = tree(**{"registry.py": registry})
    assert names("import pkg.registry") == {"registry", "a", "room", "room.d"}
    assert names("import pkg.registry", "a", "else") == {"registry", "a"}
    assert names("import pkg.registry", "d") == {"registry", "room", "room.d"}
    assert names("import importlib\nimportlib.import_module('pkg.c')") == {"c"}


def test_data_files_count_that_a_module_names(tree, tmp_path):
    names = tree(
        **{
            "room/table.csv": "1",
            "a.py": 'from pathlib import Path\nPath(__file__).with_name("own.json")',
            "own.json": "{}",
            "b.py": 'from importlib.resources import files\nfiles("pkg.room") / "table.csv"\n"templates"',
            "templates/page.html": "<p>",
            "unused.csv": "",
        }
    )
    assert names("import pkg.a") == {"a", "pkg/own.json"}
    assert names("import pkg.b") == {"b", "room", "pkg/room/table.csv", "pkg/templates/page.html"} - {"room"}


def test_what_does_nothing_changes_no_digest_and_what_does_something_does(tmp_path):
    path = tmp_path / "pkg" / "__init__.py"
    path.parent.mkdir()

    def digest(text):
        path.write_text(text)
        return CodeFiles({"pkg": path}).digests()["pkg"]

    first = digest('"""Doc."""\nimport os\n\n\ndef f(x):\n    """Doc."""\n    return x + 1\n')
    assert digest("import os\n# a remark\ndef f(x):\n\n    return (x +\n      1)  # another") == first
    assert digest("import os\ndef f(x):\n    return x + 2") != first
    assert digest("import os\ndef f(x=None):\n    return x + 1") != first
    assert digest("import os\n\n\ndef f(x):\n    y = 'text'\n    return x + 1\n") != first
    assert digest("import os\n\n\ndef f(x):\n    return x + True\n") != first
    assert digest("import os\n\n\ndef f(x):\n    return x + 1.0\n") != first
    told = digest('def f(x):\n    """Doc."""\n    return f.__doc__')
    assert digest('def f(x):\n    """Other."""\n    return f.__doc__') != told, "here a docstring is a result"
    assert digest("def f(:") != digest("def f(::")


def test_a_digest_does_not_depend_on_the_version_of_python():
    """The digest of syntax that versions write down differently, as every version must make it."""
    source = (
        "class A(B):\n    @d\n    async def f(self, *a, k=1, **o) -> None:\n        return f'{self!r:>{k}}{k:{o}}'\n"
    )
    assert parse(source.encode()).digest == "d4cee1983ee52b86df526759fcbdb618b10f09afab9a10ad4c1742ffd49f733e"


def test_stamps_see_a_file_that_was_changed_and_put_back(tmp_path):
    path = tmp_path / "pkg.py"
    path.write_text("x = 1\n")
    files = CodeFiles({"pkg": path})
    before, digests = files.stamps(), files.digests()
    path.write_text("x = 2\n")
    path.write_text("x = 1\n")
    assert files.digests() == digests
    assert files.stamps() != before


def test_bytecode_of_an_older_text_of_the_same_second_is_not_run(tmp_path):
    path = tmp_path / "halve.py"
    path.write_text("half = 3\n")
    when = (1_700_000_000, 1_700_000_000)
    os.utime(path, when)
    variables = {name: value for name, value in os.environ.items() if not name.startswith("PYTHONDONT")}
    command = [
        sys.executable,
        "-c",
        f"import sys; sys.path.insert(0, {str(tmp_path)!r}); import halve; print(halve.half)",
    ]

    def run():
        return subprocess.run(command, env=variables, capture_output=True, text=True, check=True).stdout

    assert run() == "3\n"
    path.write_text("half = 2\n")
    os.utime(path, when)
    assert run() == "3\n", "Python runs what it compiled of the first text"
    CodeFiles({"halve": path}).forget_bytecode()
    assert run() == "2\n"


def test_modules_beside_the_notebook_count(tmp_path):
    tiny.write_notebooks(tmp_path)
    notebook = tmp_path / "notebooks" / "tiny" / "make.ipynb"
    tiny.write_notebook(notebook.parent, "make", "import sys\nfrom helper import f\nimport numpy\nimport inner.more")
    (notebook.parent / "helper.py").write_text("import second")
    (notebook.parent.parent / "second.py").write_text("")
    (notebook.parent / "inner").mkdir()
    (notebook.parent / "inner" / "__init__.py").write_text("")
    (notebook.parent / "inner" / "more.py").write_text("")
    found = code_of(notebook, {})
    assert set(found.outside()) == {"helper.py", "second.py", "inner/__init__.py", "inner/more.py"}


@pytest.mark.parametrize(
    "line", ["%time import pkg_of_magic", "%%time\nimport pkg_of_magic", "!ls\nimport pkg_of_magic"]
)
def test_imports_in_magics_count(tmp_path, line):
    tiny.write_notebook(tmp_path, "make", line)
    (tmp_path / "pkg_of_magic.py").write_text("")
    assert "pkg_of_magic" in code_of(tmp_path / "make.ipynb", {}).paths


def test_a_model_of_another_package_counts_for_the_steps_that_train_it(tmp_path, monkeypatch):
    from perturbench_lamin.models import registry

    (tmp_path / "other_models.py").write_text("import other_layers")
    (tmp_path / "other_layers.py").write_text("")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(registry, "_offered", lambda: {"other": "other_models:Other"})
    train = CHECKOUT / "training" / "train.ipynb"
    assert "other_models" in code_of(train, {"model": "other"}).paths
    assert "other_layers" in code_of(train, {"model": "other_models:Other"}).paths
    assert "other_models" not in code_of(train, {"model": "linear"}).paths


ROOM_FOLDERS = ("ingestion", "curation", "training", "evaluation")
READ = {"catalog", "curation", "loading", "models", "splitting", "training", "lineage", "storage"}
ROOMS = {
    "ingestion_norman19": {"catalog", "ingestion", "lineage", "storage"},
    "curate_norman19": {"catalog", "ingestion", "curation", "metadata", "splitting", "lineage", "storage"},
    "train": READ,
    "evaluate": READ | {"evaluation"},
    "leaderboard": {"catalog", "evaluation", "lineage", "storage"},
}


@pytest.mark.parametrize("name", ROOMS)
def test_a_notebook_reaches_the_rooms_that_it_uses_and_no_others(name):
    notebook = next(CHECKOUT.glob(f"*/{name}.ipynb"))
    found = code_of(notebook, {"model": "linear", "dataset": "norman19"}).paths
    rooms = {parts[1] for name in found if len(parts := name.replace("/", ".").split(".")) > 2}
    assert rooms == ROOMS[name]


def test_comments_count_for_no_notebook_of_the_project():
    """They would count for all if one module that all reach looked at a docstring."""
    for notebook in (path for folder in ROOM_FOLDERS for path in (CHECKOUT / folder).glob("*.ipynb")):
        found = code_of(notebook, {}).paths.values()
        assert not [path for path in found if path.suffix == ".py" and parse(path.read_bytes()).reads_text]


def test_a_step_depends_on_the_files_of_its_own_model_and_dataset():
    train = CHECKOUT / "training" / "train.ipynb"
    found = code_of(train, {"model": "linear", "dataset": "norman19"}).paths
    assert {"perturbench_lamin.models.linear", "perturbench_lamin.catalog.norman19"} <= found.keys()
    assert not {"perturbench_lamin.models.cpa", "perturbench_lamin.catalog.jiang25"} & found.keys()
    assert "perturbench_lamin/models/published.csv" in found
    tuned = code_of(train, {"model": "no model of that name", "dataset": "norman19"}).paths
    assert "perturbench_lamin.models.cpa" in tuned, "where it is not known which model, all count"


def test_a_dataset_of_the_project_counts_for_the_steps_that_name_it(tmp_path, monkeypatch):
    monkeypatch.setenv(outside.VARIABLE, str(tmp_path))
    (tmp_path / "datasets").mkdir()
    files = {name: tmp_path / "datasets" / f"{name}.toml" for name in ("mine", "yours")}
    for path in files.values():
        path.write_text("seed = 1\n")
    train = CHECKOUT / "training" / "train.ipynb"

    def marks():
        steps = {name: Step(name, "training/train.ipynb", {"dataset": name}) for name in (*files, "norman19")}
        return {name: fingerprint(step, train, step.params) for name, step in steps.items()}

    first = marks()
    files["mine"].write_text("seed = 2\n")
    second = marks()
    assert [name for name in first if first[name] != second[name]] == ["mine"]
    found = code_of(train, {"dataset": "mine"})
    assert found.outside() == {"datasets/mine.toml": files["mine"]}, "a run keeps a copy"
    assert "datasets/mine.toml" in found.digests()


def test_one_digest_tells_of_all(tmp_path):
    path = tmp_path / "a.py"
    path.write_text("x = 1")
    first = total(CodeFiles({"a": path}).digests())
    assert total(CodeFiles({"b": path}).digests()) != first
    json.dumps(CodeFiles({"a": path}).digests())
