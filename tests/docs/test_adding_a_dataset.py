"""docs/adding-a-dataset.md, word by word, on a deposit of another layout than the benchmark's."""

from __future__ import annotations

import ast
import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from perturbench_lamin import lineage
from perturbench_lamin.catalog import datasets, outside
from perturbench_lamin.cli.main import cli
from perturbench_lamin.errors import InputError
from perturbench_lamin.metadata.datasets import terms_of

PAGE_FILE = Path(__file__).resolve().parents[2] / "docs/adding-a-dataset.md"
PAGE = PAGE_FILE.read_text(encoding="utf-8")
GENES = ("KLF1", "CEBPA", "EGR1", "TP53", "GATA1", "MYC")
CODE = "from perturbench_lamin.cli import main; main()"


def block(language):
    (found,) = re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)
    return found


def commands():
    return [shlex.split(line) for line in block("sh").replace("\\\n", " ").splitlines()]


def write_deposit(folder):
    """Counts in a layer beside normalised values, names and a control label of its own."""
    rng = np.random.default_rng(0)
    rows = [(gene, line) for line in ("K562", "A549", "HeLa") for gene in ("NTC", "NTC", *GENES) for _ in range(15)]
    obs = pd.DataFrame(rows, columns=["guide_target", "line"], index=[f"cell{i}" for i in range(len(rows))])
    names = [*GENES, *(f"GENE{i}" for i in range(90))]
    rates = np.ones((len(obs), len(names))) * rng.gamma(2, 1, len(names))
    for row, gene in enumerate(obs["guide_target"]):
        if gene != "NTC":
            rates[row, names.index(gene) :: 9] *= 3
    counts = rng.poisson(rates).astype(np.float32)
    adata = ad.AnnData(np.log1p(counts / counts.sum(1, keepdims=True)), obs, pd.DataFrame(index=names))
    adata.layers["counts"] = counts
    folder.mkdir(parents=True)
    adata.write_h5ad(folder / "screen.h5ad")


@pytest.mark.chain
def test_the_page_runs_word_by_word(tmp_path):
    write_deposit(tmp_path / "raw/mylab24")
    variables = {name: value for name, value in os.environ.items() if not name.startswith(("LAMIN_", "PERTURBENCH_"))}
    variables["LAMIN_SETTINGS_DIR"] = str(tmp_path / "settings")
    folder, said = tmp_path, ""
    for program, *words in commands():
        if program == "cd":
            folder = folder / words[0]
            continue
        done = subprocess.run(
            [sys.executable, "-c", CODE, *words], cwd=folder, env=variables, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        said += done.stdout
    assert "leaderboards/mylab24/transfer.csv" in said
    assert "additive" in said
    pages = "".join(path.read_text(encoding="utf-8") for path in (folder / "site").rglob("*.html"))
    assert "mylab24" in pages
    again = subprocess.run(
        [sys.executable, "-c", CODE, *commands()[2][1:]], cwd=folder, env=variables, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert "Nothing to do" in again.stdout, again.stdout + again.stderr


@pytest.fixture
def project(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv(outside.VARIABLE, raising=False)
    result = CliRunner().invoke(cli, commands()[0][1:], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    monkeypatch.chdir(tmp_path / "myproject")
    return tmp_path / "myproject"


def test_the_file_of_the_page_is_read(project):
    assert datasets.get_dataset("mylab24").covariates == ("cell_type",)
    (project / "datasets/mylab24.toml").write_text(block("toml"))
    dataset = datasets.get_dataset("mylab24")
    assert (dataset.citation, dataset.licence, dataset.doi) == ("Me et al., 2024", "CC-BY-4.0", None)
    assert dataset.task("transfer").options == {"max_heldout_fraction": 0.3, "seed": 42}
    assert terms_of("mylab24").columns == {"cell_type": ("cell_line", "cell_type")}
    said = CliRunner().invoke(cli, ["datasets"], catch_exceptions=False).output
    assert "mylab24" in said
    assert "norman19" in said


def defined(module):
    """The names at the top of a module of the package, by reading: an import would need an instance."""
    path = PAGE_FILE.parents[1].joinpath(*module.split("."))
    if path.is_dir():
        return {one.stem for one in path.glob("*.py")}
    found = set()
    for node in ast.parse(path.with_name(f"{path.name}.py").read_text(encoding="utf-8")).body:
        found |= {one.id for one in ast.walk(node) if isinstance(one, ast.Name) and isinstance(one.ctx, ast.Store)}
        found |= {node.name} if isinstance(node, ast.FunctionDef | ast.ClassDef) else set()
    return found


def taken(source):
    """What some code takes from the package: module and name, by ``from … import`` and as attributes of modules."""
    tree = ast.parse(source)
    modules = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module.startswith("perturbench_lamin"):
            for alias in node.names:
                yield node.module, alias.name
                modules[alias.name] = f"{node.module}.{alias.name}"
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            module = modules.get(node.value.id, "")
            if module and PAGE_FILE.parents[1].joinpath(*module.split(".")).with_suffix(".py").is_file():
                yield module, node.attr


def test_the_notebooks_say_how_the_file_is_laid_out(project):
    for path in (project / "ingestion/ingestion_mylab24.ipynb", project / "curation/curate_mylab24.ipynb"):
        text = path.read_text(encoding="utf-8")
        assert "@" not in text
        code = ["".join(cell["source"]) for cell in json.loads(text)["cells"] if cell["cell_type"] == "code"]
        assert '"guide_target"' in "".join(code)
        for module, name in re.findall(r"\b(artifacts|curations|gene_tables|products)\.(\w+)\(", "".join(code)):
            assert f"\ndef {name}(" in Path(lineage.__path__[0], f"{module}.py").read_text(), f"{module}.{name}"
        for source in code:
            compile(source.replace("%matplotlib inline\n", ""), path.name, "exec")
        lacking = [
            (module, name)
            for module, name in taken("\n".join(code).replace("%matplotlib inline\n", ""))
            if name not in defined(module)
        ]
        assert not lacking, path.name
    assert (project / "training/train.ipynb").is_file()


@pytest.mark.parametrize(
    ("old", "new", "match"),
    [
        ('perturbation = "genetic"', 'perturbation = "genes"', "Unknown perturbation 'genes'"),
        ('method = "transfer"', 'method = "transfr"', "Unknown method of a task 'transfr'.*\n.*transfer"),
        ('citation = "Me et al., 2024"', "citatoin = 1", "Unknown entry 'citatoin'.*\n.*citation"),
        ("[terms]", "[terms", "Not readable as TOML"),
        ('covariates = ["cell_type"]', "covariates = []", "No 'covariates'"),
        ('["cell_line", "cell_type"]', '["cel_line"]', "Unknown registry 'cel_line'.*\n.*cell_line"),
        ('condition = "gene"', 'conditon = "gene"', "Unknown entry 'conditon' of terms.*\n.*condition"),
    ],
)
def test_a_wrong_entry_is_told_with_its_file(project, old, new, match):
    text = block("toml")
    assert text.count(old) == 1
    (project / "datasets/mylab24.toml").write_text(text.replace(old, new))
    with pytest.raises(InputError, match=match) as told:
        (datasets.get_dataset("mylab24"), terms_of("mylab24"))
    assert "mylab24.toml" in str(told.value)


def test_names_that_are_taken_or_none(project, monkeypatch):
    words = commands()[0][1:]
    for name, match in (("norman19", "already"), ("Norman", "no name"), ("my lab", "no name"), ("mylab24", "there")):
        with pytest.raises(InputError, match=match):
            CliRunner().invoke(cli, [words[0], name, *words[2:-1], str(project)], catch_exceptions=False)
    (project / "datasets/mylab24.toml").rename(project / "datasets/norman19.toml")
    with pytest.raises(InputError, match="There is a dataset 'norman19' already"):
        datasets.all_datasets()
