"""Models from outside the package: registered, offered by an installed package, and the one of the documentation."""

from __future__ import annotations

import re
import sys
from importlib.metadata import EntryPoint
from pathlib import Path

import numpy as np
import pytest
from tiny_curated import Tiny, random_split, write

from perturbench_lamin.errors import InputError
from perturbench_lamin.models import registry
from perturbench_lamin.training.checkpoint import load_model

DOC = Path(__file__).parents[2] / "docs/adding-a-model.md"
DATA = Tiny().data()
SPLIT = random_split(DATA)


def blocks() -> list[str]:
    return re.findall(r"```python\n(.*?)```", DOC.read_text(encoding="utf-8"), re.S)


@pytest.fixture
def outside(tmp_path, monkeypatch):
    """The documentation's model as a module that is not part of the package; nothing stays registered."""
    folder = tmp_path / "outside"
    folder.mkdir()
    (folder / "gene_scaling.py").write_text(blocks()[0], encoding="utf-8")
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.setattr(registry, "_REGISTERED", {})
    yield folder
    sys.modules.pop("gene_scaling", None)


def test_the_documentation_runs(outside, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = {"curated_path": write(DATA, tmp_path / "tiny.h5ad"), "split": SPLIT}
    for block in blocks()[1:]:
        exec(compile(block, str(DOC), "exec"), names)
    assert names["result"].history["val_loss"].iloc[-1] < names["result"].history["val_loss"].iloc[0]
    assert np.isfinite(names["predicted"].X).all()
    model, info = load_model(names["result"].best_checkpoint)
    assert type(model).__module__ == "gene_scaling"
    assert info.hyperparameters == {"lr": 0.02, "wd": 0.0}


def test_an_installed_package_offers_a_model(outside, monkeypatch):
    point = EntryPoint("gene_scaling", "gene_scaling:GeneScaling", registry.GROUP)
    monkeypatch.setattr(registry, "entry_points", lambda group: [point] if group == registry.GROUP else [])
    registry._offered.cache_clear()
    try:
        assert registry.model_class("gene_scaling").__name__ == "GeneScaling"
        with pytest.raises(InputError, match="Did you mean gene_scaling"):
            registry.model_class("gene_scalin")
    finally:
        registry._offered.cache_clear()


def test_registering_twice_and_other_names(outside):
    registry.register("gene_scaling", "gene_scaling:GeneScaling")
    registry.register("gene_scaling", "gene_scaling:GeneScaling")
    for name, location in (("gene_scaling", "other:Model"), ("linear", "gene_scaling:GeneScaling")):
        with pytest.raises(InputError, match="There is a model"):
            registry.register(name, location)
    registry.register("scaling", "gene_scaling:GeneScaling")
    with pytest.raises(InputError, match="The class has the name 'gene_scaling'"):
        registry.model_class("scaling")


@pytest.mark.parametrize("location", ["gene_scaling", ":GeneScaling", "gene_scaling:", "gene_scaling:Gene Scaling"])
def test_no_place_of_a_class(outside, location):
    with pytest.raises(InputError, match="no place of a class"):
        registry.register("gene_scaling", location)


@pytest.mark.parametrize("location", ["absent_module:Model", "gene_scaling:Absent"])
def test_a_place_that_holds_nothing(outside, location):
    registry.register("gene_scaling", location)
    with pytest.raises(InputError, match="Cannot import the model"):
        registry.model_class("gene_scaling")
